"""Where do responses, their items and their logs live, and how does each step stay atomic?

Everything of one thread shares the partition [tenant, subject, thread]: the response `resp_…`, its items, the slots
`slot_<response>_<number>` of its log and its routes `route_<response>_<number>`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from clients.clock import Clock
from clients.notices import Notices
from clients.store import OPERATIONS_LIMIT, Container, Create, Document, Found, Key, Operation, Replace, Store
from clients.turn_keys import response_key, route_prefix, slot_id, slot_prefix, turns_key
from domain.errors import Conflict, NotFound, Retryable
from domain.ids import thread_of
from domain.items import Item, ItemStatus
from domain.log import Ending, Event, EventKind, Slot, Status, Usage
from domain.owners import Owner
from domain.transcript import Transcript, closing_events, kept_items, read_log
from domain.turns import Response

CLAIM_S = 600
PAGE = 1000
ROOM = OPERATIONS_LIMIT - 2
WRITE_TRIES = 6


def retrying() -> AsyncRetrying:
    """Try again what the store could not answer; every write here is safe to repeat."""
    return AsyncRetrying(
        retry=retry_if_exception_type(Retryable),
        wait=wait_random_exponential(multiplier=0.02, max=1),
        stop=stop_after_attempt(WRITE_TRIES),
        reraise=True,
    )


class Turns:
    """The store of turns. Safe to use from many instances at once."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.notices = Notices()

    async def claim(self, owner: Owner, *, key: str, body_hash: str, response_id: str, repeat: bool) -> str:
        """Record which response a request became, for ten minutes; return the response to go on with.

        That is the recorded one where `repeat` and one is recorded, else `response_id`. Raises Conflict where a
        repeat's key is recorded with another body.
        """
        partition = turns_key(owner, f"claim:{key}")
        found = await self.store.read(partition, "claim")
        if found and repeat:
            if found.body["body_hash"] != body_hash:
                raise Conflict("the Idempotency-Key was used with another body", identifier=key)
            return found.body["response"]
        now = self.clock.now()
        body = {"kind": "claim", "v": 1, "at": now, "response": response_id, "body_hash": body_hash}
        write: Operation = (
            Replace(id="claim", body=body, etag=found.etag, expires_at=now + CLAIM_S)
            if found
            else Create(id="claim", body=body, expires_at=now + CLAIM_S)
        )
        try:
            await self.store.commit(partition, (write,))
        except Conflict:
            return await self.claim(owner, key=key, body_hash=body_hash, response_id=response_id, repeat=repeat)
        return response_id

    async def admit(self, response: Response, items: Sequence[Item], events: tuple[Event, ...]) -> None:
        """Record the response, its input and slot 0 of its log. Safe to repeat."""
        key = response_key(response.owner, response.id)
        slot = Slot(number=0, writer=f"admission:{response.id}", first=0, at=response.created_at, events=events)
        head = (
            Create(id=response.id, body=response.to_document()),
            Create(id=slot_id(response.id, 0), body=slot.to_document()),
        )
        early, late = items[:-ROOM], items[-ROOM:]
        await self.create_early(key, early)
        try:
            await self.store.commit(key, (*head, *(created(item) for item in late)))
        except Conflict:
            await self.read(response.owner, response.id)

    async def read(self, owner: Owner, response_id: str) -> Response:
        document = await self.document(owner, response_id)
        return Response.from_document(response_id, document.body)

    async def document(self, owner: Owner, response_id: str) -> Document:
        found = await self.store.read(response_key(owner, response_id), response_id)
        if found is None:
            raise NotFound(f"Response with id '{response_id}' not found.")
        return found

    async def slots(self, owner: Owner, response_id: str, *, after: int = -1) -> Sequence[Slot]:
        """Return the slots numbered above `after`, in order."""
        key = response_key(owner, response_id)
        last = slot_id(response_id, after) if after >= 0 else ""
        documents = await self.everything(key, prefix=slot_prefix(response_id), after=last)
        return tuple(Slot.from_document(document.body) for document in documents)

    async def transcript(self, owner: Owner, response_id: str, since: Transcript | None = None) -> Transcript:
        """Read what was written after `since` (default: everything) and fold it."""
        start = since or Transcript()
        return read_log(await self.slots(owner, response_id, after=start.next_slot - 1), start)

    async def changed(self, response_id: str, *, within_s: float) -> None:
        """Return when this process wrote a slot of the response, or after `within_s` seconds."""
        await self.notices.wait(response_id, within_s=within_s)

    async def append(self, owner: Owner, response_id: str, slot: Slot) -> bool:
        """Create the slot. False: the slot is another writer's, and ours must stop."""
        key = response_key(owner, response_id)
        identifier = slot_id(response_id, slot.number)
        try:
            await retrying()(self.store.commit, key, (Create(id=identifier, body=slot.to_document()),))
        except Conflict:
            there: Document | None = await retrying()(self.store.read, key, identifier)
            if there is None or there.body["writer"] != slot.writer:
                return False
        self.notices.notify(response_id)
        return True

    async def begin(self, owner: Owner, response_id: str, *, execution: str) -> bool:
        """Make the response's turn this execution's; False where it is, or was, another's or has ended."""
        found = await self.document(owner, response_id)
        response = Response.from_document(response_id, found.body)
        if response.status is not Status.QUEUED:
            return response.status is Status.IN_PROGRESS and response.execution == execution
        now = self.clock.now()
        log = await self.transcript(owner, response_id)
        slot = next_slot(log, writer=execution, at=now, events=(Event(kind=EventKind.STARTED),))
        begun = response.begun(execution=execution, at=now)
        operations = (
            Replace(id=response_id, body=begun.to_document(), etag=found.etag),
            Create(id=slot_id(response_id, slot.number), body=slot.to_document()),
        )
        try:
            await self.store.commit(response_key(owner, response_id), operations)
        except Conflict:
            return await self.begin(owner, response_id, execution=execution)
        self.notices.notify(response_id)
        return True

    async def finish(
        self, owner: Owner, response_id: str, *, status: Status, code: str = "", message: str = ""
    ) -> Response:
        """End the response, once: the last slot, the response and its output in one commit.

        Returns the response as it stands, which may be how somebody else ended it.
        """
        log = Transcript()
        while True:
            found = await self.document(owner, response_id)
            response = Response.from_document(response_id, found.body)
            if response.status.terminal:
                return response
            log = await self.transcript(owner, response_id, log)
            ending = Ending(status=status, at=self.clock.now(), code=code, message=message, usage=usage_of(log))
            finished = await self.commit_ending(found, response, log, ending)
            if finished:
                self.notices.notify(response_id)
                return finished

    async def commit_ending(
        self, found: Document, response: Response, log: Transcript, ending: Ending
    ) -> Response | None:
        key = response_key(response.owner, response.id)
        whole = ItemStatus.COMPLETED if ending.status is Status.COMPLETED else ItemStatus.INCOMPLETE
        events = (*closing_events(log, whole), Event(kind=EventKind.ENDED, ending=ending))
        slot = next_slot(log, writer=f"finish:{self.clock.token()}", at=ending.at, events=events)
        items = kept_items(read_log((slot,), log))
        ended = response.ended(status=ending.status, at=ending.at, output_items=tuple(item.id for item in items))
        early, late = items[:-ROOM], items[-ROOM:]
        head = (
            Create(id=slot_id(response.id, slot.number), body=slot.to_document()),
            Replace(id=response.id, body=ended.to_document(), etag=found.etag),
        )
        await self.create_early(key, early)
        try:
            await self.store.commit(key, (*head, *(created(item) for item in late)))
        except Conflict:
            return None
        return ended

    async def create_early(self, key: Key, items: Sequence[Item]) -> None:
        """Write the items that a commit has no room for; they count only when it names them. Safe to repeat."""
        for item in items:
            try:
                await self.store.commit(key, (created(item),))
            except Conflict:
                continue

    async def items(self, owner: Owner, identifiers: Sequence[str]) -> tuple[Item, ...]:
        """Return the items in the order of their ids; raises NotFound naming the first that is missing."""
        threads = dict.fromkeys(thread for identifier in identifiers if (thread := thread_of(identifier)))
        found: dict[str, Item] = {}
        for thread in threads:
            found |= await self.thread_items(owner, thread, identifiers)
        missing = [identifier for identifier in identifiers if identifier not in found]
        if missing:
            raise NotFound(f"Item with id '{missing[0]}' not found.")
        return tuple(found[identifier] for identifier in identifiers)

    async def thread_items(self, owner: Owner, thread: str, identifiers: Sequence[str]) -> dict[str, Item]:
        wanted = {identifier for identifier in identifiers if thread_of(identifier) == thread}
        found: dict[str, Item] = {}
        for prefix in sorted({identifier.partition("_")[0] for identifier in wanted}):
            documents = await self.everything(turns_key(owner, thread), prefix=f"{prefix}_")
            found |= {d.id: Item.from_document(d.id, d.body) for d in documents if d.id in wanted}
        return found

    async def history(self, response: Response) -> tuple[Item, ...]:
        """Return the conversation that the model is to read: every turn up to this one, and this one's input."""
        key = response_key(response.owner, response.id)
        documents = await self.everything(key, prefix="resp_")
        responses = {d.id: Response.from_document(d.id, d.body) for d in documents}
        identifiers = list(response.input_items)
        previous = response.previous
        while previous in responses:
            turn = responses[previous]
            identifiers[:0] = (*turn.input_items, *turn.output_items)
            previous = turn.previous
        return await self.items(response.owner, identifiers)

    async def record_route(
        self, owner: Owner, response_id: str, *, number: int, route: Mapping[str, Any], routed: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Record a route and what the step gives on, once; return what is given on by the one that is recorded."""
        key = response_key(owner, response_id)
        identifier = f"{route_prefix(response_id)}{number:03d}"
        body = {"kind": "route", "v": 1, "at": self.clock.now(), "number": number, "route": route, "routed": routed}
        try:
            await self.store.commit(key, (Create(id=identifier, body=body),))
        except Conflict:
            there = await self.store.read(key, identifier)
            return there.body["routed"] if there else routed
        return routed

    async def routes(self, owner: Owner, response_id: str) -> Sequence[Mapping[str, Any]]:
        """Return the recorded routes: `at` (seconds since the epoch), `number` and the `route` itself."""
        documents = await self.everything(response_key(owner, response_id), prefix=route_prefix(response_id))
        return tuple(document.body for document in documents)

    async def unfinished(self, status: Status, *, before: float) -> Sequence[Response]:
        """Return responses of all owners in a status that were admitted before a time: the sweeper's question."""
        found = await self.store.find(Container.TURNS, kind="response", status=status.value, before=before)
        return tuple(response_of(each) for each in found)

    async def everything(self, key: Key, *, prefix: str, after: str = "") -> Sequence[Document]:
        documents: list[Document] = []
        while True:
            page = await self.store.list(key, prefix=prefix, after=after, limit=PAGE)
            documents += page
            if len(page) < PAGE:
                return documents
            after = page[-1].id


def created(item: Item) -> Create:
    return Create(id=item.id, body=item.to_document())


def response_of(found: Found) -> Response:
    return Response.from_document(found.document.id, found.document.body)


def next_slot(log: Transcript, *, writer: str, at: float, events: tuple[Event, ...]) -> Slot:
    return Slot(number=log.next_slot, writer=writer, first=log.next_sequence, at=at, events=events)


def usage_of(log: Transcript) -> Usage | None:
    """Return the tokens as the backend counted them, else (it never said) the pieces that were shown."""
    if log.outcome and log.outcome.usage:
        return log.outcome.usage
    return Usage(output_tokens=log.pieces) if log.pieces else None
