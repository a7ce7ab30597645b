"""Does a log stay complete and ordered when its writers race, stall, crash, resume and end it at the same time?

Every seed is one history of processes that share a store: calls fail, crash and stall by chance.
"""

import asyncio
from collections.abc import Awaitable, Callable
from copy import replace
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from random import Random

import pytest

from activities.inference.log_writer import LogWriter, Superseded
from clients.storage.port import DocumentStore
from clients.storage.sqlite.store import SqliteStore
from domain.content.items import Item, Role
from domain.errors import Retryable
from domain.identity.owners import Owner
from domain.ids import member_id
from domain.log.answer_events import ending_events, text_events
from domain.log.events import AttemptOutcome, EventKind, LogEvent, ResponseStatus, Slot
from domain.log.resume_text import TextDelta
from domain.log.transcript import after_slot, kept_items, read_log
from domain.turns.response import Response, ResponseOptions
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.responses import TurnStore
from tests.contracts.conftest import MakeStore
from tests.fakes.clocks import FakeClock, InstantLoop
from tests.fakes.histories import NamedSeed
from tests.fakes.stores import CrashError, Faults, FlakyStore, MemoryStore

pytestmark = pytest.mark.slow

OWNER = Owner(tenant="tenant", subject="user:1")
THREAD = "a" * 24
RESPONSE = member_id("resp", thread=THREAD, token="b" * 24)
TRIES = 4
ENDINGS = [status for status in ResponseStatus if status.is_terminal]
NORMAL = range(500)
CHUNK = 1000
CHUNKS = 20


@dataclass(slots=True)
class Race:
    """One history: what the processes share, and what they were told."""

    random: Random
    clock: FakeClock
    store: DocumentStore
    writer: type[LogWriter] = LogWriter
    written: list[Slot] = field(default_factory=list[Slot])
    begun: set[str] = field(default_factory=set[str])
    endings: list[ResponseStatus] = field(default_factory=list[ResponseStatus])
    superseded: int = 0
    died: int = 0

    def process(self) -> TurnStore:
        """Return turns as another process sees them."""
        faults = Faults(rate=self.random.choice([0, 0.02, 0.2]), pause=self.random.choice([0, 2, 10]))
        chance = Random(self.random.getrandbits(64))  # noqa: S311 - a history must repeat
        return TurnStore(FlakyStore(self.store, chance, faults), self.clock, WebhookEndpoints())

    async def idle(self) -> None:
        for _ in range(self.random.choice([0, 0, 1, 5, 20, 60])):
            await asyncio.sleep(0)


async def admit(race: Race, turns: TurnStore) -> None:
    item = Item(id=member_id("msg", thread=THREAD, token="c" * 24), role=Role.USER, text="hello")
    now = 1_800_000_000.0
    response = Response(
        id=RESPONSE,
        owner=OWNER,
        created_at=now,
        deadline_at=now + 1,
        input_items=(item.id,),
        options=ResponseOptions(model="m"),
    )
    await turns.admit(response, [item], (LogEvent(kind=EventKind.CREATED), LogEvent(kind=EventKind.QUEUED)))


async def begin(race: Race, turns: TurnStore) -> None:
    execution = f"execution:{race.clock.token()}"
    await race.idle()
    if await persistently(lambda: turns.begin(OWNER, RESPONSE, execution=execution)):
        race.begun.add(execution)


async def attempt(race: Race, turns: TurnStore) -> None:
    """Take the log over and write text, then perhaps the answer's end; a stall between any two makes a zombie."""
    await race.idle()
    log = await turns.transcript(OWNER, RESPONSE)
    writer = race.writer(turns, race.clock, owner=OWNER, response_id=RESPONSE, log=log, attempt=2)
    await writer.take_over()
    for number in range(race.random.randint(0, 8)):
        fresh = TextDelta(text=f"<{writer.writer} {number}>", starts_new_item=race.random.random() < 0.1)
        await write(race, writer, text_events(writer.log, fresh, item_id=new_item(race)))
        await race.idle()
    if race.random.random() < 0.5:
        outcome = AttemptOutcome(attempt=1, result="done")
        await write(race, writer, ending_events(writer.log, item_id=new_item(race), is_complete=True), outcome)


async def write(
    race: Race, writer: LogWriter, events: tuple[LogEvent, ...], outcome: AttemptOutcome | None = None
) -> None:
    slot = writer.slot(events, pieces=1, outcome=outcome)
    await writer.write(events, pieces=1, outcome=outcome)
    race.written.append(slot)


def new_item(race: Race) -> str:
    return member_id("msg", thread=THREAD, token=race.clock.token())


async def finish(race: Race, turns: TurnStore) -> None:
    await race.idle()
    await race.idle()
    status = race.random.choice(ENDINGS)
    ended = await persistently(lambda: turns.finish(OWNER, RESPONSE, status=status, code="code", message="why"))
    race.endings.append(ended.status)


async def persistently[T](step: Callable[[], Awaitable[T]]) -> T:
    """Do a step as the durable host does: again where it may help, not for ever."""
    for _ in range(TRIES):
        try:
            return await step()
        except Retryable:
            continue
    return await step()


type Actor = Callable[[Race, TurnStore], Awaitable[None]]


async def live(race: Race, actor: Actor) -> None:
    """Let one process live until it is done, gives up or dies."""
    try:
        await actor(race, race.process())
    except Superseded:
        race.superseded += 1
    except (Retryable, CrashError):
        race.died += 1


async def history(race: Race) -> None:
    """Admit, race, and at last let a sweeper end what nobody has ended."""
    await asyncio.gather(live(race, admit), live(race, admit))
    clean = TurnStore(race.store, race.clock, WebhookEndpoints())
    await admit(race, clean)
    actors = [*[begin] * race.random.randint(1, 2), *[attempt] * race.random.randint(1, 5)]
    actors += [finish] * race.random.randint(0, 3)
    await asyncio.gather(*(live(race, actor) for actor in actors))
    await finish(race, clean)


async def judge(race: Race) -> None:
    turns = TurnStore(race.store, race.clock, WebhookEndpoints())
    slots = await turns.slots(OWNER, RESPONSE)
    log = read_log(slots)
    events = [event for slot in slots for event in slot.events]
    assert [event.kind for event in events].count(EventKind.ENDED) == 1
    assert events[-1].kind is EventKind.ENDED
    assert log.open_item is None
    runs = [(name, list(run)) for name, run in groupby(slots, key=lambda slot: slot.writer)]
    assert len(runs) == len({name for name, _ in runs}), [name for name, _ in runs]
    assert all(not run[0].events for name, run in runs if name.startswith("infer:"))  # may be empty: no run may write
    assert all(slot in slots for slot in race.written)  # may be empty: no run may write
    response = await turns.read(OWNER, RESPONSE)
    kept = kept_items(log)
    assert response.status is log.status
    assert set(race.endings) == {response.status}
    assert response.progress.output_items == tuple(item.id for item in kept)
    assert await turns.items(OWNER, response.progress.output_items) == kept
    assert race.begun <= {response.progress.execution}


def run(seed: int, writer: type[LogWriter] = LogWriter, make: MakeStore = MemoryStore) -> Race:
    """Run one history and judge it; a failure names its seed."""
    clock = FakeClock(seed=seed)
    race = Race(random=Random(seed), clock=clock, store=make(clock), writer=writer)  # noqa: S311 - it must repeat
    with NamedSeed(seed), asyncio.Runner(loop_factory=InstantLoop) as runner:
        runner.run(history(race))
        runner.run(judge(race))
        runner.run(race.store.close())
    return race


def run_all(seeds: range, writer: type[LogWriter] = LogWriter) -> list[Race]:
    return [run(seed, writer) for seed in seeds]


def test_every_history_leaves_one_whole_log() -> None:
    races = run_all(NORMAL)
    assert sum(race.superseded > 0 for race in races) > len(races) / 4
    assert sum(race.died > 0 for race in races) > len(races) / 10
    assert sum(len({slot.writer for slot in race.written}) > 1 for race in races) > len(races) / 4


def test_histories_in_a_file_leave_whole_logs_too(tmp_path: Path) -> None:
    for seed in range(40):
        run(seed, make=partial(SqliteStore, tmp_path / f"{seed}.db"))


def test_a_history_repeats_by_its_seed() -> None:
    once, again = run(7), run(7)
    assert once.written == again.written != []
    assert [slot.writer for slot in once.written] == [slot.writer for slot in again.written]


class ReadsOn(LogWriter):
    """Does what a writer must not: finds its slot taken, reads on and continues."""

    async def write(
        self,
        events: tuple[LogEvent, ...],
        *,
        pieces: int = 0,
        outcome: AttemptOutcome | None = None,
        prediction: str = "",
    ) -> None:
        try:
            await super().write(events, pieces=pieces, outcome=outcome, prediction=prediction)
        except Superseded:
            self.log = await self.turns.transcript(self.owner, self.response_id, self.log)
            await super().write(events, pieces=pieces, outcome=outcome, prediction=prediction)


class TakesNoNotice(LogWriter):
    """Does what a writer must not: believes that it wrote what it did not."""

    async def write(
        self,
        events: tuple[LogEvent, ...],
        *,
        pieces: int = 0,
        outcome: AttemptOutcome | None = None,
        prediction: str = "",
    ) -> None:
        slot = replace(self.slot(events, pieces=pieces, outcome=outcome), prediction=prediction)
        await self.turns.append(self.owner, self.response_id, slot)
        self.log = after_slot(self.log, slot)


class NeedsNoFence(LogWriter):
    """Does what a writer must not: begins without taking over."""

    async def take_over(self) -> None:
        if self.log.ending:
            raise Superseded


@pytest.mark.parametrize("writer", [ReadsOn, TakesNoNotice, NeedsNoFence])
def test_histories_find_a_writer_that_breaks_the_rule(writer: type[LogWriter]) -> None:
    with pytest.raises((AssertionError, ValueError), check=lambda error: error.__notes__[0].startswith("seed ")):
        run_all(NORMAL, writer)


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_history_of_twenty_thousand_leaves_one_whole_log(chunk: int) -> None:
    run_all(range(chunk * CHUNK, (chunk + 1) * CHUNK))
