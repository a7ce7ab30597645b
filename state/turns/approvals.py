"""How are requests for approvals recorded, so that each of them is decided once?

A record is in the partition of the turn that asks. It is created with the end of that turn, and cleared with it.
"""

from collections.abc import Iterator, Sequence
from copy import replace
from itertools import islice
from typing import Final

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.damage import kind_of, readable
from clients.storage.keys import response_key, turns_key
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
from clients.storage.retry import with_retries
from domain.content.items import Item, ItemKind
from domain.errors import NotFound
from domain.identity.owners import Owner
from domain.ids import thread_of
from domain.log.events import ResponseStatus
from domain.tools.approvals import DECIDED, Approval, Decision, approval_id, new_approval
from domain.tools.planned_calls import MOST_ASKED
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookEndpoints
from state.webhook_outbox import request_deliveries

ENDED_WAIT: Final = "ended_wait"
PENDING: Final = "pending"
ENDED_WAIT_KEPT_S: Final = 40 * 86_400.0
"""Longer than the reservation of a turn can be set aside."""


class Approvals:
    """The records of requests. Every method is safe to repeat."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def find(self, owner: Owner, request_id: str) -> Approval | None:
        """Return the owner's request; None for an unknown id, and where it was cleared with its turn."""
        thread = thread_of(request_id)
        if thread is None or not request_id.startswith("mcpr_"):
            return None
        found = await with_retries(self.clock, self.store.read, turns_key(owner, thread), approval_id(request_id))
        return found.read_as(Approval.from_document) if found else None

    async def decide(self, owner: Owner, approval: Approval, decision: Decision, *, in_place: bool = False) -> Approval:
        """Record a decision; return the stored request, whose decision may be an earlier one. Raises NotFound.

        A decision of another turn ends the wait for one; one that is `in_place` is stored only while its turn waits.
        """
        key = turns_key(owner, thread_of(approval.request) or "")

        async def step() -> Approval:
            found = await self.store.read(key, approval.id)
            if found is None:
                raise NotFound.by_id("Approval request", approval.request)
            before = found.read_as(Approval.from_document)
            if before.decision or (in_place and not before.waits):
                return before
            after = replace(before.decided(decision), waits=in_place)
            await self.store.commit(key, (Replace(id=after.id, body=after.to_document(), etag=found.etag),))
            return after

        return await compare_and_swap(self.clock, step)

    async def decided(self, *, before: float) -> Sequence[tuple[Owner, Approval]]:
        """Return decisions that no turn has carried out, of requests that were made before a time, for the sweep."""
        found = await self.store.find(
            Container.TURNS, kind="approval", status=DECIDED, before=before, limit=SWEEP_LIMIT
        )
        return tuple(readable(found, lambda each: (owner_in(each.key), each.document.read_as(Approval.from_document))))

    async def close(self, owner: Owner, approval: Approval) -> None:
        """Record that no turn waits for a decision any more. Safe to repeat."""
        key = turns_key(owner, thread_of(approval.request) or "")

        async def step() -> None:
            found = await self.store.read(key, approval.id)
            if found:
                closed = replace(found.read_as(Approval.from_document), waits=False)
                await self.store.commit(key, (Replace(id=closed.id, body=closed.to_document(), etag=found.etag),))

        await compare_and_swap(self.clock, step)

    async def ended_waits(self, *, before: float) -> Sequence[tuple[Owner, str]]:
        """Return the ids of turns that had ended while they waited, before a time, for the sweep."""
        found = await self.store.find(
            Container.TURNS, kind=ENDED_WAIT, status=PENDING, before=before, limit=SWEEP_LIMIT
        )
        return tuple(readable(found, lambda each: (owner_in(each.key), str(each.document.body["response"]))))

    async def forget_ended_wait(self, owner: Owner, response_id: str) -> None:
        await self.store.commit(response_key(owner, response_id), (Delete(id=ended_wait_id(response_id)),))


def owner_in(key: DocumentKey) -> Owner:
    tenant, subject, _ = key.parts
    return Owner(tenant=tenant, subject=subject)


def approval_operations(endpoints: WebhookEndpoints, ended: Response, items: Sequence[Item]) -> Iterator[Operation]:
    """Yield what records and announces the requests of a turn that has completed.

    Those of another turn cannot be answered. Neither can those beyond MOST_ASKED, where very many calls had unknown
    outcomes: one commit has no room for more. A turn that has waited in place has recorded its requests before.
    """
    recorded = tuple(islice(recorded_requests(ended, items), MOST_ASKED))
    yield from (Create(id=each.id, body=each.to_document()) for each in recorded)
    yield from request_deliveries(endpoints, ended, recorded, at=ended.progress.ended_at or 0.0)


def recorded_requests(ended: Response, items: Sequence[Item]) -> Iterator[Approval]:
    if ended.status is not ResponseStatus.COMPLETED or ended.progress.ended_at is None:
        return
    if ended.options.approval_wait_s:
        return
    config = ended.options.tool_config
    for item in items:
        function = config.function_of(item.server, item.name)
        if item.kind is ItemKind.APPROVAL_REQUEST and function:
            at, lasts_s = ended.progress.ended_at, config.approval_s
            yield new_approval(item, function, response_id=ended.id, at=at, lasts_s=lasts_s)


def ended_wait_id(response_id: str) -> str:
    return f"{ENDED_WAIT}_{response_id}"


def ended_wait_operations(before: Response, ended: Response) -> Iterator[Create]:
    """Yield the note by which the sweep ends the wait of a turn that was ended from outside.

    The signal that wakes its orchestration may be lost, and its timer runs for days.
    """
    if before.progress.wait and ended.progress.ended_at is not None:
        at = ended.progress.ended_at
        body = {"kind": ENDED_WAIT, "v": 1, "status": PENDING, "at": at, "response": ended.id}
        yield Create(id=ended_wait_id(ended.id), body=body, expires_at=at + ENDED_WAIT_KEPT_S)


def is_ended_wait(document: Document) -> bool:
    return kind_of(document.body) == ENDED_WAIT


def cleared_approvals(item_ids: Sequence[str]) -> Iterator[Delete]:
    """Yield what clears the records of the requests among the items of a turn."""
    yield from (Delete(id=approval_id(each)) for each in item_ids if each.startswith("mcpr_"))
