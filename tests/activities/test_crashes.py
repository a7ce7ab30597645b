"""Does a turn survive a crash of its process at any call of the store, and answers of the store that are lost?"""

from dataclasses import dataclass
from random import Random

import pytest

from clients.orchestrations import turn_wire
from domain.content.items import ItemStatus
from domain.log.events import EventKind, ResponseStatus
from domain.money.ledger_records import AttemptStatus, ReservationStatus
from domain.turns.response import Response
from tests.checks import every
from tests.fakes.backends import FakeBackend, breaks, says
from tests.fakes.clocks import FakeClock
from tests.fakes.orchestration import Run
from tests.fakes.stores import CrashError, Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER, World, backend

pytestmark = pytest.mark.slow

WORDS = "one two three four"
CRASHES = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
LOSSES = (Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER)


@dataclass(slots=True)
class Lives:
    """A turn whose process dies and is started again, over one store."""

    clock: FakeClock
    store: MemoryStore
    response: Response
    run: Run
    deaths: int = 0

    async def live(self, faults: Faults, seed: int, script: FakeBackend) -> bool:
        """Live once; False where the process died before the turn's end."""
        flaky = FlakyStore(self.store, Random(seed), faults)  # noqa: S311 - a test's seed
        self.run.steps = World(store=flaky, clock=self.clock, backends={"main": (backend("main"), script)}).steps
        try:
            await self.run.respond(turn_wire(self.response))
        except CrashError:
            self.deaths += 1
            return False
        return True


async def newborn() -> Lives:
    clock = FakeClock()
    store = MemoryStore(clock)
    first = World(store=store, clock=clock, backends={"main": (backend("main"), FakeBackend(says("x")))})
    response = await first.admit("count")
    return Lives(clock=clock, store=store, response=response, run=Run(clock=clock, steps={}, done=[], history=[]))


def going_on_from(shown: str) -> FakeBackend:
    """Return a backend that goes on from a partial answer, as the log holds it."""
    return FakeBackend(says(WORDS.removeprefix(shown)))


async def shown(lives: Lives) -> str:
    world = World(store=lives.store, clock=lives.clock, backends={})
    log = await world.log(lives.response)
    return log.items[-1].text if log.items else ""


async def assert_whole(lives: Lives) -> None:
    """One answer, one ending, numbers without gaps, nothing held and nothing open."""
    world = World(store=lives.store, clock=lives.clock, backends={})
    slots = await world.turns.slots(OWNER, lives.response.id)
    log = await world.log(lives.response)
    events = [event.kind for slot in slots for event in slot.events]
    assert log.status is ResponseStatus.COMPLETED, log.ending
    assert [item.text for item in log.items] == [WORDS]
    assert [item.status for item in log.items] == [ItemStatus.COMPLETED]
    assert events.count(EventKind.ENDED) == 1
    assert events[-1] is EventKind.ENDED
    assert events.count(EventKind.STARTED) == 1
    held = await world.ledger.reservation(OWNER, lives.response.id)
    assert held is not None
    assert held.status is ReservationStatus.SETTLED
    attempts = await world.ledger.attempts(OWNER, lives.response.id)
    assert every(attempt.status is AttemptStatus.CLOSED for attempt in attempts)


async def calls_of_a_quiet_turn() -> int:
    lives = await newborn()
    flaky = FlakyStore(lives.store, Random(0), Faults())  # noqa: S311 - a test's seed
    fake = {"main": (backend("main"), going_on_from(""))}
    lives.run.steps = World(store=flaky, clock=lives.clock, backends=fake).steps
    await lives.run.respond(turn_wire(lives.response))
    return len(flaky.calls)


@pytest.mark.parametrize("fault", CRASHES)
async def test_a_crash_at_any_call_of_the_store_loses_and_repeats_nothing(fault: Fault) -> None:
    for call in range(await calls_of_a_quiet_turn()):
        lives = await newborn()
        await lives.live(Faults(at={call: fault}), call, going_on_from(""))
        assert await lives.live(Faults(), 0, going_on_from(await shown(lives)))
        await assert_whole(lives)


@pytest.mark.parametrize("seed", range(200))
async def test_crash_after_crash_loses_and_repeats_nothing(seed: int) -> None:
    lives = await newborn()
    for life in range(4):
        faults = Faults(rate=0.08, kinds=CRASHES)
        if await lives.live(faults, seed * 100 + life, going_on_from(await shown(lives))):
            break
    else:
        assert await lives.live(Faults(), 0, going_on_from(await shown(lives)))
    await assert_whole(lives)


@pytest.mark.parametrize("seed", range(100))
async def test_lost_answers_of_the_store_lose_and_repeat_nothing(seed: int) -> None:
    lives = await newborn()
    assert await lives.live(Faults(rate=0.05, kinds=LOSSES), seed, going_on_from(""))
    await assert_whole(lives)


async def test_a_backend_that_breaks_off_and_a_process_that_dies_are_survived_together() -> None:
    lives = await newborn()
    assert not await lives.live(Faults(at={25: Fault.CRASH_AFTER}), 1, FakeBackend(breaks("one two")))
    assert await lives.live(Faults(), 2, going_on_from(await shown(lives)))
    await assert_whole(lives)
