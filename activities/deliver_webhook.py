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
told = meter.create_counter("ganglion.webhooks.tries", unit="{try}")

SHORTEST_WAIT_S = 0.1
ABREAST = 8
"""How many tries at one endpoint run at once in this process: one that dawdles must not keep turns from theirs."""

BUSY_S, LONGEST_BUSY_S = 2.0, 600.0
"""How long a try at least, and at most, waits for room; it waits as long as it has waited."""


class DeliverWebhook:
    """One try. What was taken, or given up, has no document any more; what is not due yet is not tried."""

    def __init__(
        self, *, announcements: WebhookOutbox, endpoints: WebhookEndpoints, sender: WebhookSender, clock: Clock
    ) -> None:
        self.announcements = announcements
        self.endpoints = endpoints
        self.sender = sender
        self.clock = clock
        self.running: Counter[str] = Counter()

    async def notify(self, given: wire.DeliverWebhookWire) -> wire.WebhookTriedWire:
        found = await self.announcements.read(wire.owner_from_wire(given), given["response"], given["endpoint"])
        if found is None:
            return over("told before")
        announcement = WebhookDelivery.from_document(found.body)
        wait_s = announcement.due_at - self.clock.now()
        if wait_s > 0:
            return {"delay_s": max(wait_s, SHORTEST_WAIT_S), "outcome": "not due"}
        endpoint = self.endpoints.known.get(announcement.endpoint)
        if endpoint is None or await self.announcements.is_gone(announcement.owner.tenant, endpoint):
            await self.announcements.close(announcement)
            return over("no such endpoint")
        if self.running[endpoint.name] >= ABREAST:
            return {"delay_s": self.busy_s(-wait_s), "outcome": "busy"}
        self.running[endpoint.name] += 1
        try:
            return await self.try_once(found, announcement, endpoint)
        finally:
            self.running[endpoint.name] -= 1

    def busy_s(self, waited_s: float) -> float:
        return min(max(waited_s, BUSY_S), LONGEST_BUSY_S) * (0.5 + self.clock.fraction())

    async def try_once(
        self, found: Document, announcement: WebhookDelivery, endpoint: WebhookEndpoint
    ) -> wire.WebhookTriedWire:
        receipt = await self.sender.send(endpoint, announcement)
        told.add(1, {"ganglion.webhook": endpoint.name, "ganglion.webhook.verdict": receipt.result.value})
        if receipt.result is DeliveryResult.LATER:
            return await self.put_off(found, announcement, receipt)
        if receipt.result is DeliveryResult.GONE:
            log.error("webhook %s says that it is gone; it is told nothing more", endpoint.name)
            await self.announcements.note_gone(announcement.owner.tenant, endpoint)
        await self.announcements.close(announcement)
        return over(receipt.result.value)

    async def put_off(
        self, found: Document, announcement: WebhookDelivery, receipt: DeliveryReceipt
    ) -> wire.WebhookTriedWire:
        """Record that a try failed; after the last one the announcement is given up."""
        delay_s = announcement.next_delay_s()
        if delay_s is None:
            log.error("webhook %s never took %s: %s", announcement.endpoint, announcement.id, receipt.reason)
            await self.announcements.close(announcement)
            return over("given up")
        log.warning("webhook %s did not take %s: %s", announcement.endpoint, announcement.id, receipt.reason)
        due_at = self.clock.now() + delay_s
        await self.announcements.postpone(found, replace(announcement, due_at=due_at, tries=announcement.tries + 1))
        return {"delay_s": delay_s, "outcome": receipt.result.value}


def over(outcome: str) -> wire.WebhookTriedWire:
    return {"delay_s": 0.0, "outcome": outcome}
