"""What did a turn leave in the store, read by the product's own clients?"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from clients.clock import SystemClock
from clients.storage.keys import THREADS, owner_index_key, turns_key
from clients.storage.paging import list_all
from clients.storage.port import Container, Delete, Document
from clients.storage.sqlite.store import SqliteStore
from domain.content.items import Item, Role
from domain.errors import NotFound
from domain.fleet.load import LoadPart, merged
from domain.identity.owners import Owner
from domain.ids import member_id
from domain.log.events import EMPTIED_BY, EventKind, LogEvent, ResponseStatus
from domain.money.attempt_charge import AttemptStatus
from domain.money.budgets import Budgets
from domain.money.ledger_records import ReservationStatus
from domain.turns.response import Response, ResponseOptions
from domain.turns.webhook_events import WebhookEndpoints
from standins.issuer.entra_tokens import guid_of
from state.fleet.answer_lengths import ANSWERS, tenant_key
from state.fleet.state_documents import FLEET, PART, state_id
from state.money.ledger import Ledger
from state.turns.responses import TurnStore
from tests.end_to_end.callers import Caller, Json, Reading
from tests.end_to_end.waiting import GUARD_S, eventually

FAR = 1e12
"""A time that everything stored lies before."""

MANY = 100_000


def owner_named(user: str = "alice", tenant: str = "contoso") -> Owner:
    return Owner(tenant=guid_of("tenant", tenant), subject=f"user:{guid_of('user', f'{tenant}/{user}')}")


ALICE = owner_named()


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The store of a cluster, beside the running product."""

    store: SqliteStore
    turns: TurnStore
    ledger: Ledger

    async def left_open(self, response_id: str, owner: Owner = ALICE) -> list[str]:
        """Name everything of a turn that is not closed."""
        response = await self.turns.read(owner, response_id)
        found = [] if response.status.is_terminal else [f"the response is {response.status.value}"]
        held = await self.ledger.reservation(owner, response_id)
        if held is None or held.status is not ReservationStatus.SETTLED:
            found.append(f"the reservation is {held.status.value if held else 'missing'}")
        attempts = await self.ledger.attempts(owner, response_id)
        return found + [
            f"attempt {each.number} is open" for each in attempts if each.charge.status is AttemptStatus.OPEN
        ]

    async def admit(self, body: Json, owner: Owner = ALICE) -> Response:
        """Admit a turn as the API does, and start nothing."""
        clock = self.turns.clock
        thread = clock.token()
        asked = Item(id=member_id("msg", thread=thread, token=clock.token()), role=Role.USER, text=body["input"])
        response = Response(
            id=member_id("resp", thread=thread, token=clock.token()),
            owner=owner,
            created_at=clock.now(),
            deadline_at=clock.now() + 600,
            input_items=(asked.id,),
            options=ResponseOptions(model=body["model"], instructions=body["instructions"]),
        )
        await self.ledger.reserve(owner, response.id, Decimal("0.01"))
        await self.turns.admit(response, (asked,), (LogEvent(kind=EventKind.CREATED),))
        return response

    async def responses(self, body: Json) -> list[str]:
        """Return every response that a request became, found by its instructions."""
        asked: list[str] = []
        for status in ResponseStatus:
            found = await self.store.find(Container.TURNS, kind="response", status=status, before=FAR, limit=MANY)
            documents = (each.document for each in found)
            asked += [each.id for each in documents if each.body["instructions"] == body["instructions"]]
        return asked

    async def unfinished(self) -> list[str]:
        """Name every response that has not ended, whosesoever it is."""
        statuses = (ResponseStatus.QUEUED, ResponseStatus.IN_PROGRESS)
        return [each.id for status in statuses for each in await self.turns.unfinished(status, before=FAR)]

    async def held(self) -> list[str]:
        """Name every response for which money is held."""
        return [held.response for _, held in await self.ledger.open_reservations(before=FAR)]

    async def writes(self) -> int:
        """Return how many writes the store has ever seen."""
        return await self.store.on_thread(lambda file: file.execute("SELECT last FROM writes").fetchone()[0])

    async def exists(self, response_id: str, owner: Owner = ALICE) -> bool:
        try:
            await self.turns.read(owner, response_id)
        except NotFound:
            return False
        return True

    async def left(self, owner: Owner) -> list[str]:
        """Name what an owner's turns have left beside his book and emptied slots."""
        notes = await list_all(self.store, owner_index_key(owner), prefix=THREADS)
        keys = [turns_key(owner, note.id.removeprefix(THREADS)) for note in notes]
        found = [each for key in keys for each in await list_all(self.store, key, prefix="")]
        return [each.id for each in found if each.body.get("writer") != EMPTIED_BY]

    async def forget_backend_states(self) -> None:
        """Let the next test begin with backends that nobody has seen fail."""
        for backend in ("scripted", "scripted-afresh"):
            await self.forget_backend_state(backend)

    async def forget_backend_state(self, backend: str) -> None:
        """Delete what was learned of a backend, and its load."""
        for each in await self.state_documents(backend):
            await self.store.commit(FLEET, (Delete(id=each.id),))

    async def state_documents(self, backend: str) -> Sequence[Document]:
        found = await list_all(self.store, FLEET, prefix=state_id(backend))
        return [each for each in found if each.id.partition(PART)[0] == state_id(backend)]

    async def forget_answer_lengths(self, owner: Owner = ALICE) -> None:
        """Let the next test begin without answers of earlier ones: they decide how much an attempt reserves."""
        for key in (owner_index_key(owner), tenant_key(owner)):
            await self.store.commit(key, (Delete(id=ANSWERS),))

    async def known_running(self, backend: str) -> int:
        """Return how many calls the product believes to run at a backend."""
        parts = [LoadPart.from_document(each.body) for each in await self.state_documents(backend)]
        return merged(parts).running(self.turns.clock.now())

    async def settled(self, caller: Caller, response_id: str, owner: Owner = ALICE) -> None:
        """Wait for the turn's orchestration, and sweep until nothing of the turn is left open.

        A sweep leaves alone what is younger than its patience.
        """
        await caller.orchestration_ended(response_id)

        async def look() -> bool | None:
            await caller.sweep()
            return None if await self.left_open(response_id, owner) else True

        await eventually(look, what=f"a turn of which nothing is open: {response_id}")

    async def quiet(self, caller: Caller, *, within_s: float = GUARD_S) -> None:
        """Sweep until no response is unfinished and no money is held."""

        async def look() -> bool | None:
            await caller.sweep()
            return True if not await self.unfinished() and not await self.held() else None

        await eventually(look, within_s=within_s, what="every turn ended and all money settled")

    async def assert_exact(self, reading: Reading, text: str, owner: Owner = ALICE) -> None:
        """A whole stream: numbers without a gap, one end, and one text in the stream, the object and the log."""
        assert reading.clean == 0, "a stream ended cleanly before its turn did"
        assert reading.numbers == list(range(len(reading.events)))
        ends = ("response.completed", "response.incomplete", "response.failed")
        assert [kind for kind in reading.types if kind in ends] == ["response.completed"], reading.response
        assert reading.types[-1] == "response.completed"
        assert reading.text == text
        assert [part["text"] for item in reading.response["output"] for part in item["content"]] == [text]
        await self.assert_log(reading.id, text, owner)

    async def assert_log(self, response_id: str, text: str, owner: Owner = ALICE) -> None:
        """One chain of slots without a gap, one begin and one end, the end last, the text exact, no mixed writers."""
        slots = await self.turns.slots(owner, response_id)
        assert slots
        assert [slot.number for slot in slots] == list(range(len(slots)))
        assert all(after.first == before.next_sequence for before, after in pairwise(slots))  # may be empty: one slot
        kinds = [event.kind for slot in slots for event in slot.events]
        assert kinds.count(EventKind.STARTED) == 1
        assert kinds.count(EventKind.ENDED) == 1
        assert kinds[-1] is EventKind.ENDED
        writers = [slot.writer for slot in slots]
        runs = [writer for before, writer in pairwise(["", *writers]) if writer != before]
        assert len(runs) == len(set(runs)), f"writers take turns: {runs}"
        log = await self.turns.transcript(owner, response_id)
        assert [item.text for item in log.items] == [text]


@asynccontextmanager
async def books_of(data: Path) -> AsyncGenerator[Books]:
    clock = SystemClock()
    store = SqliteStore(data / "app.db", clock)
    try:
        yield Books(
            store=store, turns=TurnStore(store, clock, WebhookEndpoints()), ledger=Ledger(store, clock, Budgets())
        )
    finally:
        await store.close()
