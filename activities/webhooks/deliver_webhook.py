"""How is one webhook delivery tried, and when is it tried again?"""

import logging
from collections import Counter
from copy import replace
from typing import Protocol

from clients.clock import Clock
from clients.storage.port import Document
from clients.webhooks.sender import DeliveryReceipt, DeliveryResult
from domain import webhook_wire, wire
from domain.turns.webhook_events import WebhookDelivery, WebhookEndpoint, WebhookEndpoints
from state.webhook_outbox import WebhookOutbox
from telemetry.metrics import count_webhook_try

log = logging.getLogger(__name__)

MIN_DELAY_S = 0.1
MAX_CONCURRENT_TRIES = 8
"""How many tries run at the same time for one endpoint in this process, so that a slow one does not delay turns."""

OUTCOMES = {DeliveryResult.DELIVERED: "accepted", DeliveryResult.GONE: "gone", DeliveryResult.REFUSED: "refused"}
"""What ended a delivery, in the timeline of its turn."""

MIN_BUSY_DELAY_S = 2.0
MAX_BUSY_DELAY_S = 600.0
"""A try that finds its endpoint busy waits as long again as it has waited, within these limits."""


class DeliverySender(Protocol):
    """Tries one delivery to one endpoint."""

    async def send(self, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> DeliveryReceipt: ...


class DeliverWebhook:
    """One try of one delivery. The outbox returns no delivery that was accepted or given up."""

    def __init__(
        self, *, outbox: WebhookOutbox, endpoints: WebhookEndpoints, sender: DeliverySender, clock: Clock
    ) -> None:
        self.outbox = outbox
        self.endpoints = endpoints
        self.sender = sender
        self.clock = clock
        self.running: Counter[str] = Counter()

    async def deliver(self, request: webhook_wire.DeliverWebhookWire) -> webhook_wire.WebhookTriedWire:
        found = await self.outbox.read(wire.owner_from_wire(request), request["response"], request["endpoint"])
        if found is None:
            return finished("already delivered")
        delivery = found.read_as(WebhookDelivery.from_document)
        wait_s = delivery.due_at - self.clock.now()
        if wait_s > 0:
            return {"delay_s": max(wait_s, MIN_DELAY_S), "outcome": "not due"}
        endpoint = self.endpoints.known.get(delivery.endpoint)
        if endpoint is None or await self.outbox.is_gone(delivery.owner.tenant, endpoint):
            await self.outbox.close(delivery, "no endpoint")
            return finished("no such endpoint")
        if self.running[endpoint.name] >= MAX_CONCURRENT_TRIES:
            return {"delay_s": self.busy_delay_s(-wait_s), "outcome": "busy"}
        self.running[endpoint.name] += 1
        try:
            return await self.try_once(found, delivery, endpoint)
        finally:
            self.running[endpoint.name] -= 1

    def busy_delay_s(self, waited_s: float) -> float:
        return min(max(waited_s, MIN_BUSY_DELAY_S), MAX_BUSY_DELAY_S) * (0.5 + self.clock.fraction())

    async def try_once(
        self, found: Document, delivery: WebhookDelivery, endpoint: WebhookEndpoint
    ) -> webhook_wire.WebhookTriedWire:
        receipt = await self.sender.send(endpoint, delivery)
        count_webhook_try(endpoint.name, verdict_of(delivery, receipt.result))
        if receipt.result is DeliveryResult.RETRY_LATER:
            return await self.postpone(found, delivery, receipt)
        if receipt.result is DeliveryResult.GONE:
            log.error("webhook %s answered 410 Gone and gets no more deliveries", endpoint.name)
            await self.outbox.mark_gone(delivery.owner.tenant, endpoint)
        await self.outbox.close(replace(delivery, tries=delivery.tries + 1), OUTCOMES[receipt.result])
        return finished(receipt.result.value)

    async def postpone(
        self, found: Document, delivery: WebhookDelivery, receipt: DeliveryReceipt
    ) -> webhook_wire.WebhookTriedWire:
        """Schedule the next try; after the last one give the delivery up."""
        delay_s = delivery.next_delay_s()
        if delay_s is None:
            log.error(
                "webhook %s: the last try of %s failed, so it is not delivered: %s",
                delivery.endpoint,
                delivery.id,
                receipt.reason,
            )
            await self.outbox.close(replace(delivery, tries=delivery.tries + 1), "given up")
            return finished("given up")
        log.warning(
            "webhook %s: %s was not delivered, next try in %.0f s: %s",
            delivery.endpoint,
            delivery.id,
            delay_s,
            receipt.reason,
        )
        due_at = self.clock.now() + delay_s
        await self.outbox.postpone(found, replace(delivery, due_at=due_at, tries=delivery.tries + 1))
        return {"delay_s": delay_s, "outcome": receipt.result.value}


def verdict_of(delivery: WebhookDelivery, result: DeliveryResult) -> str:
    """Return what became of a try, for metrics: the last one that failed gives the delivery up."""
    is_given_up = result is DeliveryResult.RETRY_LATER and delivery.next_delay_s() is None
    return "given_up" if is_given_up else result.value


def finished(outcome: str) -> webhook_wire.WebhookTriedWire:
    return {"delay_s": 0.0, "outcome": outcome}
