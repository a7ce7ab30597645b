"""Do the attempts of several processes never claim more KV memory than there is, whichever of them dies?"""

import asyncio
from copy import replace
from dataclasses import dataclass, field
from random import Random

import pytest

from domain.fleet.catalog import Backend
from domain.fleet.learned_speed import Observation
from domain.fleet.load import Load
from state.fleet.backend_state import BackendStates
from tests.fakes.clocks import LoopClock, in_no_time
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import backend

TOKENS = 1600
CONCURRENCY = 64
LONGEST_S = 30.0
PLAIN = backend("main")
MAIN = replace(PLAIN, limits=replace(PLAIN.limits, concurrency=CONCURRENCY, kv_tokens=TOKENS))


@dataclass(slots=True)
class ManyProcesses:
    """Several processes over one store, whose attempts end, or die with them. `most` is the highest sum of claims."""

    random: Random
    clock: LoopClock = field(default_factory=LoopClock)
    processes: list[BackendStates] = field(default_factory=list[BackendStates])
    most: int = 0
    started: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        store = MemoryStore(self.clock)
        self.processes = [self.process(store) for _ in range(3)]

    def process(self, store: MemoryStore) -> BackendStates:
        states = BackendStates(store, self.clock)
        states.process = f"{self.random.getrandbits(48):012x}"
        return states

    async def load(self) -> Load:
        return (await self.processes[0].read({"main": MAIN}))["main"].load

    async def attempt(self, number: int) -> None:
        await self.clock.sleep(self.random.uniform(0, 60))
        states, name = self.random.choice(self.processes), f"attempt_resp_{number}_001"
        claim, until = 16 * self.random.randint(1, 40), self.clock.now() + LONGEST_S
        start = await states.record_start(MAIN, name, until=until, claim=claim)
        self.most = max(self.most, (await self.load()).claimed(self.clock.now()))
        self.started += start.has_memory
        self.refused += not start.has_memory
        if not start.has_memory or self.random.random() < 0.2:
            return
        await self.clock.sleep(self.random.uniform(0, 20))
        ender = self.random.choice(self.processes)
        if self.random.random() < 0.5:
            await ender.record_end(MAIN, name)
        else:
            at = self.clock.now()
            await ender.record_success(MAIN, seen(name, at))

    async def run(self) -> int:
        """Return what is still claimed when every attempt must have ended."""
        await asyncio.gather(*(self.attempt(number) for number in range(80)))
        await self.clock.sleep(LONGEST_S + 1)
        return (await self.load()).claimed(self.clock.now(), unknown=1)


def seen(attempt: str, at: float) -> Observation:
    return Observation(
        attempt=attempt, started_at=at - 2, first_token_at=at - 1, ended_at=at, input_tokens=300, output_tokens=50
    )


@pytest.mark.parametrize("seed", range(6))
def test_no_more_memory_is_claimed_than_there_is_and_all_of_it_comes_back(seed: int) -> None:
    many = ManyProcesses(Random(seed))  # noqa: S311 - a test must repeat
    left = in_no_time(many.run())
    assert TOKENS // 2 < many.most <= TOKENS
    assert many.refused
    assert many.started > many.refused / 4
    assert left == 0


async def three_at_once() -> list[bool]:
    clock = LoopClock()
    store = MemoryStore(clock)
    processes = [BackendStates(store, clock) for _ in range(3)]
    for number, each in enumerate(processes):
        each.process = f"{number:012x}"
    until = clock.now() + 60
    starts = await asyncio.gather(
        *(each.record_start(MAIN, f"attempt_{each.process}_1", until=until, claim=800) for each in processes)
    )
    return sorted(start.has_memory for start in starts)


def test_processes_that_start_attempts_at_once_do_not_share_the_same_memory() -> None:
    assert in_no_time(three_at_once()) == [False, True, True]


async def with_a_repeated_start(of: Backend) -> tuple[bool, int | None]:
    clock = LoopClock()
    states = BackendStates(MemoryStore(clock), clock)
    for name in ("attempt_a_1", "attempt_b_1", "attempt_a_1"):
        found = await states.record_start(of, name, until=clock.now() + 60, claim=800)
    return found.has_memory, found.beside


def test_a_repeated_attempt_claims_once() -> None:
    assert in_no_time(with_a_repeated_start(MAIN)) == (True, 1)


async def refused() -> tuple[int, int]:
    clock = LoopClock()
    states = BackendStates(MemoryStore(clock), clock)
    until = clock.now() + 60
    for name, claim in (("attempt_a_001", 800), ("attempt_b_001", 1600)):
        states.promised.give("main", name[8:9], now=clock.now(), claim=claim)
        await states.record_start(MAIN, name, until=until, claim=claim)
    load = (await states.read({"main": MAIN}))["main"].load
    promised = states.promised.beside("main", load.in_flight, counted=("c",), now=clock.now())
    return load.claimed(clock.now()), sum(promised)


def test_an_attempt_that_may_not_run_gives_back_what_it_was_promised() -> None:
    assert in_no_time(refused()) == (800, 0)


async def refused_again() -> list[int]:
    """An attempt runs again, after its process died and others have claimed all memory."""
    clock = LoopClock()
    states = BackendStates(MemoryStore(clock), clock)
    small, until = replace(MAIN, limits=replace(MAIN.limits, kv_tokens=1200)), clock.now() + 60
    await states.record_start(MAIN, "attempt_a_001", until=until, claim=800)
    await states.record_start(MAIN, "attempt_b_001", until=until, claim=800)
    found = await states.record_start(small, "attempt_b_001", until=until, claim=800)
    load = (await states.read({"main": MAIN}))["main"].load
    return [found.has_memory, load.claimed(clock.now())]


def test_an_attempt_that_may_not_run_again_keeps_no_claim() -> None:
    assert in_no_time(refused_again()) == [False, 800]
