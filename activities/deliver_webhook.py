"""Has an endpoint been told that a turn has ended, and when is it to be told again?"""

import logging
from collections import Counter
from dataclasses import replace

from clients.clock import Clock
from clients.storage.port import Document
from clients.webhooks.sender import DeliveryReceipt, DeliveryResult, WebhookSender
from domain import wire
from domain.turns.webhook_events import WebhookDelivery, WebhookEndpoint, WebhookEndpoints
from state.webhook_outbox import WebhookOutbox
from telemetry import meter

log = logging.getLogger(__name__)
tries = meter.create_counter("ganglion.webhooks.tries", unit="{try}")

MIN_DELAY_S = 0.1
MAX_CONCURRENT_TRIES = 8
"""How many tries at one endpoint run at once in this process: one that dawdles must not keep turns from theirs."""

BUSY_S, LONGEST_BUSY_S = 2.0, 600.0
"""How long a try at least, and at most, waits for room; it waits as long as it has waited."""


class DeliverWebhook:
    """One try. What was taken, or given up, has no document any more; what is not due yet is not tried."""

    def __init__(
        self, *, outbox: WebhookOutbox, endpoints: WebhookEndpoints, sender: WebhookSender, clock: Clock
    ) -> None:
        self.outbox = outbox
        self.endpoints = endpoints
        self.sender = sender
        self.clock = clock
        self.running: Counter[str] = Counter()

    async def deliver(self, request: wire.DeliverWebhookWire) -> wire.WebhookTriedWire:
        found = await self.outbox.read(wire.owner_from_wire(request), request["response"], request["endpoint"])
        if found is None:
            return finished("told before")
        announcement = WebhookDelivery.from_document(found.body)
        wait_s = announcement.due_at - self.clock.now()
        if wait_s > 0:
            return {"delay_s": max(wait_s, MIN_DELAY_S), "outcome": "not due"}
        endpoint = self.endpoints.known.get(announcement.endpoint)
        if endpoint is None or await self.outbox.is_gone(announcement.owner.tenant, endpoint):
            await self.outbox.close(announcement)
            return finished("no such endpoint")
        if self.running[endpoint.name] >= MAX_CONCURRENT_TRIES:
            return {"delay_s": self.busy_delay_s(-wait_s), "outcome": "busy"}
        self.running[endpoint.name] += 1
        try:
            return await self.try_once(found, announcement, endpoint)
        finally:
            self.running[endpoint.name] -= 1

    def busy_delay_s(self, waited_s: float) -> float:
        return min(max(waited_s, BUSY_S), LONGEST_BUSY_S) * (0.5 + self.clock.fraction())

    async def try_once(
        self, found: Document, announcement: WebhookDelivery, endpoint: WebhookEndpoint
    ) -> wire.WebhookTriedWire:
        receipt = await self.sender.send(endpoint, announcement)
        tries.add(1, {"ganglion.webhook": endpoint.name, "ganglion.webhook.verdict": receipt.result.value})
        if receipt.result is DeliveryResult.RETRY_LATER:
            return await self.postpone(found, announcement, receipt)
        if receipt.result is DeliveryResult.GONE:
            log.error("webhook %s answered that it is gone; it gets no more deliveries", endpoint.name)
            await self.outbox.mark_gone(announcement.owner.tenant, endpoint)
        await self.outbox.close(announcement)
        return finished(receipt.result.value)

    async def postpone(
        self, found: Document, announcement: WebhookDelivery, receipt: DeliveryReceipt
    ) -> wire.WebhookTriedWire:
        """Record that a try failed; after the last one the announcement is given up."""
        delay_s = announcement.next_delay_s()
        if delay_s is None:
            log.error("webhook %s never took %s: %s", announcement.endpoint, announcement.id, receipt.reason)
            await self.outbox.close(announcement)
            return finished("given up")
        log.warning("webhook %s did not take %s: %s", announcement.endpoint, announcement.id, receipt.reason)
        due_at = self.clock.now() + delay_s
        await self.outbox.postpone(found, replace(announcement, due_at=due_at, tries=announcement.tries + 1))
        return {"delay_s": delay_s, "outcome": receipt.result.value}


def finished(outcome: str) -> wire.WebhookTriedWire:
    return {"delay_s": 0.0, "outcome": outcome}
