"""What crosses the durable boundary when a webhook is delivered? The rules of `domain.wire` hold."""

from typing import TypedDict

from domain.wire import TurnWire


class DeliverWebhookWire(TurnWire):
    """Names the endpoint that gets the webhook."""

    endpoint: str


class WebhookTriedWire(TypedDict):
    """The result of one try; `delay_s` above 0 is the delay before the next try."""

    delay_s: float
    outcome: str


class WebhookDeliveredWire(TypedDict):
    """The output of the webhook delivery orchestration."""

    outcome: str
