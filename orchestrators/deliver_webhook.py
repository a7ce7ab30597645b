"""In what order does the end of a turn reach one webhook endpoint?

notify → (wait → notify)…
"""

from datetime import timedelta

from domain import webhook_wire, wire
from orchestrators.context import Context, Steps
from orchestrators.steps import call_step


def deliver_webhook(context: Context) -> Steps[webhook_wire.WebhookDeliveredWire]:
    """Try until the endpoint accepts the delivery or it is given up. Waits are durable timers, which cost nothing."""
    request: webhook_wire.DeliverWebhookWire = context.get_input()
    while True:
        tried: webhook_wire.WebhookTriedWire = yield call_step(context, wire.DELIVER_WEBHOOK, request)
        if not tried["delay_s"]:
            return {"outcome": tried["outcome"]}
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=tried["delay_s"]))
