"""How are responses, their items and their logs stored, and each step of a turn committed atomically?

Everything of one thread shares the partition [tenant, subject, thread]: the response `resp_…`, its items, the slots
`slot_<response>_<number>` of its log and its routes `route_<response>_<number>`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import replace
from typing import Any

from clients.clock import Clock
from clients.storage.batching import check_size, split_to_fit
from clients.storage.compare_and_swap import commit_if_unchanged, compare_and_swap, create_once
from clients.storage.damage import parsed, readable
from clients.storage.item_parts import item_creates
from clients.storage.keys import response_key, route_prefix, slot_id, slot_prefix
from clients.storage.paging import create_missing, list_all
from clients.storage.port import (
    SWEEP_LIMIT,
    Container,
    Create,
    Document,
    DocumentKey,
    DocumentStore,
    FoundDocument,
    Operation,
    Replace,
)
from clients.storage.retry import with_retries
from domain.content.items import Item, ItemKind, ItemStatus
from domain.errors import Conflict, NoResponse
from domain.identity.owners import Owner
from domain.log.events import EMPTIED_BY, Ending, EventKind, LogEvent, ResponseStatus, Slot
from domain.log.transcript import Transcript, closing_events, kept_items, read_log, whole_ending
from domain.log.writers import ADMISSION
from domain.sources.prompt_context import source_metadata
from domain.tools.approval_rules import with_readings
from domain.tools.rounds import limit_note
from domain.turns.response import Response
from domain.turns.tool_lists import opening_events
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.approvals import Approvals, approval_operations, ended_wait_operations
from state.turns.conversation_lock import lock_operations, unlock_operations
from state.turns.conversations import ConversationStore
from state.turns.expiry import expiry_operations
from state.turns.history import HistoryReader
from state.turns.idempotency import IdempotencyRecords
from state.turns.log_notifications import LogNotifications, LogSubscription
from state.turns.retrieved_context import RetrievedContext
from state.webhook_outbox import delivery_operations


class TurnStore:
    """Stores turns. Safe to use from many instances at once. The end of a turn is delivered to the `endpoints`."""

    def __init__(self, store: DocumentStore, clock: Clock, endpoints: WebhookEndpoints) -> None:
        self.store = store
        self.clock = clock
        self.endpoints = endpoints
        self.notifications = LogNotifications()
        self.idempotency = IdempotencyRecords(store, clock)
        self.history_reader = HistoryReader(store)
        self.retrieved_context = RetrievedContext(store, clock)
        self.conversations = ConversationStore(store, clock)
        self.approvals = Approvals(store, clock)

    async def record_request(
        self, owner: Owner, *, key: str, body_hash: str, response_id: str, repeat: bool, new_thread: bool = True
    ) -> str:
        """Record for ten minutes which response a request creates; return the id of the response to continue with.

        This is the recorded one where `repeat` is set and one is recorded, else `response_id`. Raises Conflict where
        the key of a repeat is recorded with another body.
        """
        return await self.idempotency.record(
            owner, key=key, body_hash=body_hash, response_id=response_id, repeat=repeat, new_thread=new_thread
        )

    async def admit(self, response: Response, items: Sequence[Item], events: tuple[LogEvent, ...]) -> Response:
        """Store the response, its input and slot 0 of its log, and lock its conversation. Safe to repeat.

        Returns the stored response, which is another delivery's where that was faster. Raises Locked where another
        response has the conversation, Invalid where the turn is too large to be ended in one commit
        (request_too_large), and NotFound where the conversation does not exist.
        """
        key = response_key(response.owner, response.id)
        slot = Slot(number=0, writer=f"{ADMISSION}{response.id}", first=0, at=response.created_at, events=events)

        async def step() -> Response:
            existing = await self.existing(response) if response.history.conversation else None
            if existing:
                return existing
            head: list[Operation] = [
                Create(id=response.id, body=response.to_document()),
                Create(id=slot_id(response.id, 0), body=slot.to_document()),
                *await lock_operations(self.store, response),
            ]
            check_size(head)
            if await self.commit_with_items(key, head, items):
                return response
            existing = await self.existing(response)
            if existing is None:
                raise Conflict("the conversation has changed", identifier=response.history.conversation or response.id)
            return existing

        return await compare_and_swap(self.clock, step)

    async def existing(self, response: Response) -> Response | None:
        found = await self.store.read(response_key(response.owner, response.id), response.id)
        return found.read_with_id(Response.from_document) if found else None

    async def commit_with_items(self, key: DocumentKey, head: Sequence[Operation], items: Sequence[Item]) -> bool:
        """Commit a head with its items; items without room in this commit are created before it.

        Items count only when a committed head names them. Returns False where another writer was first.
        """
        early, late = split_to_fit(head, [create for item in items for create in item_creates(item)])
        await create_missing(self.store, key, early)
        return await commit_if_unchanged(self.store, key, (*head, *late))

    async def read(self, owner: Owner, response_id: str) -> Response:
        document = await self.document(owner, response_id)
        return document.read_with_id(Response.from_document)

    async def document(self, owner: Owner, response_id: str) -> Document:
        found = await self.store.read(response_key(owner, response_id), response_id)
        if found is None:
            raise no_response(response_id)
        return found

    async def slots(self, owner: Owner, response_id: str, *, after: int = -1) -> Sequence[Slot]:
        """Return the slots numbered above `after`, in order."""
        key = response_key(owner, response_id)
        last = slot_id(response_id, after) if after >= 0 else ""
        documents = await list_all(self.store, key, prefix=slot_prefix(response_id), after=last)
        return tuple(document.read_as(Slot.from_document) for document in documents)

    async def next_slot(self, owner: Owner, response_id: str, *, after: int) -> Sequence[Slot]:
        """Return the one slot that follows `after`, or none: the cheapest way to poll a log."""
        document = await self.store.read(response_key(owner, response_id), slot_id(response_id, after + 1))
        return (document.read_as(Slot.from_document),) if document else ()

    async def transcript(self, owner: Owner, response_id: str, since: Transcript | None = None) -> Transcript:
        """Return the transcript of all slots, or add the new ones to `since`; raises NoResponse and DamagedRecord."""
        start = since or Transcript()
        slots = await self.slots(owner, response_id, after=start.next_slot - 1)
        if any(slot.writer == EMPTIED_BY for slot in slots):
            raise no_response(response_id)
        return parsed(slot_prefix(response_id), read_log, slots, start)

    async def wait_for_slot(self, response_id: str, *, within_s: float) -> None:
        """Return when this process wrote a slot of the response, or after `within_s` seconds."""
        with self.subscribe(response_id) as subscription:
            await subscription.wait(within_s=within_s)

    def subscribe(self, response_id: str) -> AbstractContextManager[LogSubscription]:
        """Collect the slots of the response that this process writes, until the context is left."""
        return self.notifications.subscribe(response_id)

    async def append(self, owner: Owner, response_id: str, slot: Slot) -> bool:
        """Create the slot. Return False where another writer has it: the caller must stop writing."""
        key = response_key(owner, response_id)
        identifier = slot_id(response_id, slot.number)
        create = Create(id=identifier, body=slot.to_document())
        if not await with_retries(self.clock, create_once, self.store, key, create):
            stored = await with_retries(self.clock, self.store.read, key, identifier)
            if stored is None or stored.body["writer"] != slot.writer:
                return False
        self.notifications.notify(response_id, slot)
        return True

    async def begin(self, owner: Owner, response_id: str, *, execution: str) -> bool:
        """Assign the response to this execution; False where another execution has it, or it has ended."""

        async def step() -> tuple[bool, Slot | None]:
            found = await self.document(owner, response_id)
            response = found.read_with_id(Response.from_document)
            if response.status is not ResponseStatus.QUEUED:
                return response.status is ResponseStatus.IN_PROGRESS and response.progress.execution == execution, None
            now = self.clock.now()
            log = await self.transcript(owner, response_id)
            approved = [*(await self.history_reader.existing_items(owner, response.approved)).values()]
            slot = next_slot(log, execution, at=now, events=opening_events(response, log, approved, self.clock.token))
            begun = response.begun(execution=execution, at=now)
            operations = (
                Replace(id=response_id, body=begun.to_document(), etag=found.etag),
                Create(id=slot_id(response_id, slot.number), body=slot.to_document()),
            )
            await self.store.commit(response_key(owner, response_id), operations)
            return True, slot

        is_assigned, slot = await compare_and_swap(self.clock, step)
        if slot:
            self.notifications.notify(response_id, slot)
        return is_assigned

    async def finish(
        self, owner: Owner, response_id: str, *, status: ResponseStatus, code: str = "", message: str = ""
    ) -> Response:
        """End the response, once: the last slot, the response and its output in one commit.

        Returns the stored response, which another caller may have ended in another way.
        """
        log = Transcript()

        async def step() -> Response:
            nonlocal log
            found = await self.document(owner, response_id)
            response = found.read_with_id(Response.from_document)
            if response.status.is_terminal:
                return response
            log = await self.transcript(owner, response_id, log)
            reports = (
                await self.retrieved_context.source_reports(owner, response_id) if response.options.sources else None
            )
            ending = Ending(
                status=status,
                at=self.clock.now(),
                code=code,
                message=message,
                usage=log.usage,
                notes={**source_metadata(reports or ()), **limit_note(log)},
            )
            return await self.commit_ending(found, response, log, whole_ending(log, ending))

        return await compare_and_swap(self.clock, step)

    async def commit_ending(
        self, found: Document, response: Response, log: Transcript, ending: Ending, answer: tuple[LogEvent, ...] = ()
    ) -> Response:
        """Commit the last slot and all that ends with a turn; raises Conflict. An `answer` leaves no item open."""
        item_status = ItemStatus.COMPLETED if ending.status is ResponseStatus.COMPLETED else ItemStatus.INCOMPLETE
        events = (*(answer or closing_events(log, item_status)), LogEvent(kind=EventKind.ENDED, ending=ending))
        slot = next_slot(log, f"finish:{self.clock.token()}", at=ending.at, events=events)
        items = tuple(stored_items(kept_items(read_log((slot,), log)), response, item_status))
        ended = response.ended(status=ending.status, at=ending.at, output_items=tuple(item.id for item in items))
        head: list[Operation] = [
            Create(id=slot_id(response.id, slot.number), body=slot.to_document()),
            Replace(id=response.id, body=ended.to_document(), etag=found.etag),
            *await unlock_operations(self.store, ended),
            *expiry_operations(ended),
            *approval_operations(self.endpoints, ended, items),
            *ended_wait_operations(response, ended),
            *delivery_operations(self.endpoints, ended),
        ]
        if not await self.commit_with_items(response_key(response.owner, response.id), head, items):
            raise Conflict("the response, its log or its conversation has changed", identifier=response.id)
        self.notifications.notify(response.id, slot)
        return ended

    async def items(self, owner: Owner, identifiers: Sequence[str]) -> tuple[Item, ...]:
        """Return the items in the order of their ids; raises NotFound naming the first that is missing."""
        return await self.history_reader.items(owner, identifiers)

    async def history(self, response: Response) -> tuple[Item, ...]:
        """Return what the model reads: the earlier turns that fit its context window, and this turn's input."""
        return await self.history_reader.read(response)

    async def record_route(
        self, owner: Owner, response_id: str, *, number: int, route: Mapping[str, Any], routed: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Record a route and its result for the orchestration, once; return the result of the recorded route."""
        key = response_key(owner, response_id)
        identifier = f"{route_prefix(response_id)}{number:03d}"
        body = {"kind": "route", "v": 1, "at": self.clock.now(), "number": number, "route": route, "routed": routed}
        if await create_once(self.store, key, Create(id=identifier, body=body)):
            return routed
        stored = await self.store.read(key, identifier)
        return stored.body["routed"] if stored else routed

    async def routes(self, owner: Owner, response_id: str) -> Sequence[Mapping[str, Any]]:
        """Return the recorded routes: `at` (seconds since the epoch), `number` and the `route` itself."""
        documents = await list_all(self.store, response_key(owner, response_id), prefix=route_prefix(response_id))
        return tuple(document.body for document in documents)

    async def unfinished(self, status: ResponseStatus, *, before: float) -> Sequence[Response]:
        """Return the responses of all owners with a status that were admitted before a time, for the sweep."""
        found = await self.store.find(
            Container.TURNS, kind="response", status=status.value, before=before, limit=SWEEP_LIMIT
        )
        return tuple(readable(found, response_of))


def no_response(response_id: str) -> NoResponse:
    return NoResponse.by_id("Response", response_id)


def response_of(found: FoundDocument) -> Response:
    return found.document.read_with_id(Response.from_document)


def stored_items(items: Sequence[Item], response: Response, status: ItemStatus) -> Iterator[Item]:
    """Yield the output as it is stored: the calls of a turn that did not complete are incomplete."""
    for item in with_readings(items, is_tainted=response.options.tool_config.is_tainted):
        yield replace(item, status=status) if item.kind is ItemKind.FUNCTION_CALL else item


def next_slot(log: Transcript, writer: str, *, at: float, events: tuple[LogEvent, ...]) -> Slot:
    return Slot(number=log.next_slot, writer=writer, first=log.next_sequence, at=at, events=events)
