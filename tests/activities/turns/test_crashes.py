"""Does a turn survive a crash of its process at any store call, and lost answers of the store?"""

from dataclasses import dataclass
from random import Random

import pytest

from clients.orchestrations import turn_wire
from domain.content.items import ItemStatus
from domain.log.events import EventKind, ResponseStatus
from domain.money.attempt_charge import AttemptStatus
from domain.money.ledger_records import ReservationStatus
from domain.turns.response import Response
from tests.checks import every
from tests.fakes.backends import FakeBackend, interrupted, says
from tests.fakes.clocks import FakeClock
from tests.fakes.orchestration import Run
from tests.fakes.stores import CrashError, Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER, World, backend

pytestmark = pytest.mark.slow

WORDS = "one two three four"
CRASHES = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
LOSSES = (Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER)


@dataclass(slots=True)
class RestartedTurn:
    """A turn whose process crashes and is started again, over one store."""

    clock: FakeClock
    store: MemoryStore
    response: Response
    run: Run
    crashes: int = 0

    async def execute(self, faults: Faults, seed: int, script: FakeBackend) -> bool:
        """Run one process; False where it crashed before the turn ended."""
        flaky = FlakyStore(self.store, Random(seed), faults)  # noqa: S311 - a test's seed
        self.run.steps = World(store=flaky, clock=self.clock, backends={"main": (backend("main"), script)}).steps
        try:
            await self.run.respond(turn_wire(self.response))
        except CrashError:
            self.crashes += 1
            return False
        return True


async def admitted() -> RestartedTurn:
    clock = FakeClock()
    store = MemoryStore(clock)
    first = World(store=store, clock=clock, backends={"main": (backend("main"), FakeBackend(says("x")))})
    response = await first.admit("count")
    return RestartedTurn(
        clock=clock, store=store, response=response, run=Run(clock=clock, steps={}, done=[], history=[])
    )


def continuing(shown: str) -> FakeBackend:
    """Return a backend that continues the partial answer in the log."""
    return FakeBackend(says(WORDS.removeprefix(shown)))


async def text_in_log(turn: RestartedTurn) -> str:
    world = World(store=turn.store, clock=turn.clock, backends={})
    log = await world.log(turn.response)
    return log.items[-1].text if log.items else ""


async def assert_complete(turn: RestartedTurn) -> None:
    """One answer, one ending, no open reservation and no open attempt."""
    world = World(store=turn.store, clock=turn.clock, backends={})
    slots = await world.turns.slots(OWNER, turn.response.id)
    log = await world.log(turn.response)
    events = [event.kind for slot in slots for event in slot.events]
    assert log.status is ResponseStatus.COMPLETED, log.ending
    assert [item.text for item in log.items] == [WORDS]
    assert [item.status for item in log.items] == [ItemStatus.COMPLETED]
    assert events.count(EventKind.ENDED) == 1
    assert events[-1] is EventKind.ENDED
    assert events.count(EventKind.STARTED) == 1
    reservation = await world.ledger.reservation(OWNER, turn.response.id)
    assert reservation is not None
    assert reservation.status is ReservationStatus.SETTLED
    attempts = await world.ledger.attempts(OWNER, turn.response.id)
    assert every(attempt.charge.status is AttemptStatus.CLOSED for attempt in attempts)


async def store_calls_without_faults() -> int:
    turn = await admitted()
    flaky = FlakyStore(turn.store, Random(0), Faults())  # noqa: S311 - a test's seed
    fake = {"main": (backend("main"), continuing(""))}
    turn.run.steps = World(store=flaky, clock=turn.clock, backends=fake).steps
    await turn.run.respond(turn_wire(turn.response))
    return len(flaky.calls)


@pytest.mark.parametrize("fault", CRASHES)
async def test_a_crash_at_any_store_call_loses_and_repeats_nothing(fault: Fault) -> None:
    for call in range(await store_calls_without_faults()):
        turn = await admitted()
        await turn.execute(Faults(at={call: fault}), call, continuing(""))
        assert await turn.execute(Faults(), 0, continuing(await text_in_log(turn)))
        await assert_complete(turn)


@pytest.mark.parametrize("seed", range(200))
async def test_crash_after_crash_loses_and_repeats_nothing(seed: int) -> None:
    turn = await admitted()
    for number in range(4):
        faults = Faults(rate=0.08, kinds=CRASHES)
        if await turn.execute(faults, seed * 100 + number, continuing(await text_in_log(turn))):
            break
    else:
        assert await turn.execute(Faults(), 0, continuing(await text_in_log(turn)))
    await assert_complete(turn)


@pytest.mark.parametrize("seed", range(100))
async def test_lost_answers_of_the_store_lose_and_repeat_nothing(seed: int) -> None:
    turn = await admitted()
    assert await turn.execute(Faults(rate=0.05, kinds=LOSSES), seed, continuing(""))
    await assert_complete(turn)


async def test_an_interrupted_answer_and_a_crashed_process_are_survived_together() -> None:
    turn = await admitted()
    assert not await turn.execute(Faults(at={25: Fault.CRASH_AFTER}), 1, FakeBackend(interrupted("one two")))
    assert await turn.execute(Faults(), 2, continuing(await text_in_log(turn)))
    await assert_complete(turn)
