"""Which webhook deliveries are due for turns that have ended?

A delivery is stored in the same commit as the end of its turn; after a crash the sweep finds it. Once its endpoint has
accepted it, or it was given up, it stays for a week as a note of that, which no sweep finds.
"""

from collections.abc import Sequence
from copy import replace
from typing import Self

from msgspec import Struct

from clients.clock import Clock
from clients.storage.compare_and_swap import commit_if_unchanged, compare_and_swap, create_once
from clients.storage.damage import kind_of, readable
from clients.storage.keys import delivery_id, response_key
from clients.storage.paging import list_all
from clients.storage.port import (
    SWEEP_LIMIT,
    Body,
    Container,
    Create,
    Document,
    DocumentKey,
    DocumentStore,
    Operation,
    Replace,
)
from domain.identity.owners import Owner
from domain.tools.approvals import Approval
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookDelivery, WebhookEndpoint, WebhookEndpoints

DELIVERY_KIND = "announcement"
MARKER_KIND = "announced"
DUE = "due"
KEPT_S = 7 * 86_400
"""A delivery is deleted after this time, whatever became of it."""

MARKER_KEPT_S = 40 * 86_400
"""An event of a budget belongs to a day or a month: after this time it cannot happen again."""

REGISTRY = "webhooks"
"""Takes the place of a subject in a partition key; no subject has this name."""


def delivery_operations(endpoints: WebhookEndpoints, ended: Response) -> tuple[Operation, ...]:
    """Return the deliveries of the end of a turn, to be committed with it."""
    return created(endpoints.deliveries(ended))


def request_deliveries(
    endpoints: WebhookEndpoints, turn: Response, requests: Sequence[Approval], *, at: float
) -> tuple[Operation, ...]:
    """Return the deliveries that announce new requests for an approval, to be committed with them."""
    return created(endpoints.action_deliveries(turn, requests[0].request, at=at)) if requests else ()


def created(deliveries: Sequence[WebhookDelivery]) -> tuple[Operation, ...]:
    return tuple(
        Create(id=document_id(each), body=document_of(each), expires_at=each.at + KEPT_S) for each in deliveries
    )


def is_due(document: Document) -> bool:
    """Tell whether a document is a delivery that was neither accepted nor given up."""
    return kind_of(document.body) == DELIVERY_KIND and document.body.get("status") == DUE


def document_id(delivery: WebhookDelivery) -> str:
    return delivery_id(delivery.response, delivery.endpoint)


def document_of(delivery: WebhookDelivery) -> dict[str, object]:
    return {"kind": DELIVERY_KIND, "v": 1, "status": DUE, **delivery.to_document()}


class DeliveryNote(Struct, frozen=True, kw_only=True):
    """A delivery with its outcome: `due` while it is tried, then what ended it at `closed_at`."""

    delivery: WebhookDelivery
    outcome: str
    closed_at: float | None

    @classmethod
    def from_document(cls, body: Body) -> Self:
        return cls(
            delivery=WebhookDelivery.from_document(body), outcome=body["status"], closed_at=body.get("closed_at")
        )


class WebhookOutbox:
    """The deliveries of all turns, and the endpoints that answered that they are gone."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def announce(self, owner: Owner, identifier: str, deliveries: Sequence[WebhookDelivery]) -> bool:
        """Store the deliveries of an event that is no turn's end, once; False where that was done before.

        The marker in the same commit stays longer than any delivery.
        """
        now = self.clock.now()
        marker = {"kind": MARKER_KIND, "v": 1, "status": "announced", "at": now}
        writes: list[Operation] = [Create(id=identifier, body=marker, expires_at=now + MARKER_KEPT_S)]
        writes += created(deliveries)
        return await commit_if_unchanged(self.store, response_key(owner, identifier), writes)

    async def read(self, owner: Owner, response_id: str, endpoint: str) -> Document | None:
        """Return the document of a delivery; None where it was accepted or given up."""
        found = await self.store.read(response_key(owner, response_id), delivery_id(response_id, endpoint))
        return found if found and is_due(found) else None

    async def of_response(self, owner: Owner, response_id: str) -> Sequence[DeliveryNote]:
        """Return what became of the deliveries of a turn in the last week."""
        found = await list_all(self.store, response_key(owner, response_id), prefix=delivery_id(response_id, ""))
        return tuple(readable(found, lambda each: each.read_as(DeliveryNote.from_document)))

    async def of(self, owner: Owner, response_id: str) -> Sequence[WebhookDelivery]:
        """Return the deliveries of an event that are not done."""
        notes = await self.of_response(owner, response_id)
        return tuple(each.delivery for each in notes if each.outcome == DUE)

    async def postpone(self, found: Document, delivery: WebhookDelivery) -> None:
        """Store when the next try is due, unless another run has changed the delivery meanwhile."""
        key = response_key(delivery.owner, delivery.response)
        expires_at = delivery.at + KEPT_S
        later = Replace(id=found.id, body=document_of(delivery), etag=found.etag, expires_at=expires_at)
        await commit_if_unchanged(self.store, key, (later,))

    async def close(self, delivery: WebhookDelivery, outcome: str) -> None:
        """Record that a delivery was accepted or given up, once; `delivery` counts all of its tries."""
        key, identifier = response_key(delivery.owner, delivery.response), document_id(delivery)

        async def step() -> None:
            found = await self.store.read(key, identifier)
            if found and is_due(found):
                body = {**document_of(delivery), "status": outcome, "closed_at": self.clock.now()}
                kept = Replace(id=identifier, body=body, etag=found.etag, expires_at=delivery.at + KEPT_S)
                await self.store.commit(key, (kept,))

        await compare_and_swap(self.clock, step)

    async def reopen(self, owner: Owner, response_id: str, endpoint: str) -> None:
        """Let a delivery that was given up begin again, under its key; one that is tried or was accepted stays."""
        key, identifier = response_key(owner, response_id), delivery_id(response_id, endpoint)

        async def step() -> None:
            found = await self.store.read(key, identifier)
            if found and found.body.get("status") not in (DUE, "accepted"):
                now = self.clock.now()
                again = replace(found.read_as(WebhookDelivery.from_document), at=now, due_at=now, tries=0)
                write = Replace(id=identifier, body=document_of(again), etag=found.etag, expires_at=now + KEPT_S)
                await self.store.commit(key, (write,))

        await compare_and_swap(self.clock, step)

    async def overdue(self, *, before: float) -> Sequence[WebhookDelivery]:
        """Return the deliveries of all owners whose next try was due before a time, for the sweep."""
        found = await self.store.find(Container.TURNS, kind=DELIVERY_KIND, status=DUE, before=before, limit=SWEEP_LIMIT)
        return tuple(readable(found, lambda each: each.document.read_as(WebhookDelivery.from_document)))

    async def is_gone(self, tenant: str, endpoint: WebhookEndpoint) -> bool:
        """Return whether an endpoint, as it is configured now, has answered that it is gone."""
        return await self.store.read(registry_key(tenant), f"gone_{endpoint.name}_{endpoint.fingerprint}") is not None

    async def mark_gone(self, tenant: str, endpoint: WebhookEndpoint) -> None:
        body = {"kind": "endpoint", "v": 1, "status": "gone", "at": self.clock.now(), "name": endpoint.name}
        create = Create(id=f"gone_{endpoint.name}_{endpoint.fingerprint}", body=body)
        await create_once(self.store, registry_key(tenant), create)


def registry_key(tenant: str) -> DocumentKey:
    return DocumentKey(container=Container.TURNS, parts=(tenant, REGISTRY, REGISTRY))
