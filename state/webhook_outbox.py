"""What is still to be told of turns that have ended?

An announcement is written with the end of its turn, in one commit, and goes when its endpoint has taken it: whatever
crashes in between, the sweep finds it.
"""

from collections.abc import Sequence

from clients.clock import Clock
from clients.storage.keys import delivery_id, response_key
from clients.storage.port import (
    SWEEP_LIMIT,
    Container,
    Create,
    Delete,
    Document,
    DocumentKey,
    DocumentStore,
    Operation,
    Replace,
)
from domain.errors import Conflict
from domain.identity.owners import Owner
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookDelivery, WebhookEndpoint, WebhookEndpoints

ANNOUNCEMENT = "announcement"
DUE = "due"
KEPT_S = 7 * 86_400
"""After how long an announcement is forgotten that nobody took or gave up."""

REGISTRY = "webhooks"
"""Stands in a partition of the turns where else a subject does; no subject has its name."""


def delivery_operations(endpoints: WebhookEndpoints, ended: Response) -> tuple[Operation, ...]:
    """Return what announces the end of a turn, to be committed with it."""
    return tuple(
        Create(id=document_id(each), body=document_of(each), expires_at=each.at + KEPT_S)
        for each in endpoints.deliveries(ended)
    )


def is_delivery(document: Document) -> bool:
    return document.body.get("kind") == ANNOUNCEMENT


def document_id(announcement: WebhookDelivery) -> str:
    return delivery_id(announcement.response, announcement.endpoint)


def document_of(announcement: WebhookDelivery) -> dict[str, object]:
    return {"kind": ANNOUNCEMENT, "v": 1, "status": DUE, **announcement.to_document()}


class WebhookOutbox:
    """The announcements of all turns, and which endpoints said that they are gone."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def read(self, owner: Owner, response_id: str, endpoint: str) -> Document | None:
        """Return the document of an announcement; None where it was taken or given up."""
        return await self.store.read(response_key(owner, response_id), delivery_id(response_id, endpoint))

    async def postpone(self, found: Document, announcement: WebhookDelivery) -> None:
        """Record when the next try is due; where another run has recorded something meanwhile, that stands."""
        key = response_key(announcement.owner, announcement.response)
        expires_at = announcement.at + KEPT_S
        try:
            await self.store.commit(
                key, (Replace(id=found.id, body=document_of(announcement), etag=found.etag, expires_at=expires_at),)
            )
        except Conflict:
            return

    async def close(self, announcement: WebhookDelivery) -> None:
        key = response_key(announcement.owner, announcement.response)
        await self.store.commit(key, (Delete(id=document_id(announcement)),))

    async def overdue(self, *, before: float) -> Sequence[WebhookDelivery]:
        """Return announcements of all owners whose next try should have been before a time: the sweeper's question."""
        found = await self.store.find(Container.TURNS, kind=ANNOUNCEMENT, status=DUE, before=before, limit=SWEEP_LIMIT)
        return tuple(WebhookDelivery.from_document(each.document.body) for each in found)

    async def is_gone(self, tenant: str, endpoint: WebhookEndpoint) -> bool:
        """Tell whether an endpoint, as it is registered now, has said that it is gone."""
        return await self.store.read(registry_key(tenant), f"gone_{endpoint.name}_{endpoint.fingerprint}") is not None

    async def mark_gone(self, tenant: str, endpoint: WebhookEndpoint) -> None:
        body = {"kind": "endpoint", "v": 1, "status": "gone", "at": self.clock.now(), "name": endpoint.name}
        try:
            await self.store.commit(
                registry_key(tenant), (Create(id=f"gone_{endpoint.name}_{endpoint.fingerprint}", body=body),)
            )
        except Conflict:
            return


def registry_key(tenant: str) -> DocumentKey:
    return DocumentKey(container=Container.TURNS, parts=(tenant, REGISTRY, REGISTRY))
