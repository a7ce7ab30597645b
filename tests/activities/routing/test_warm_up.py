"""Is a sleeping backend woken by one, however many want it, and is what the wake showed learned?"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import pytest

from activities.routing.warm_up import BackendWarmer
from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from clients.storage.port import DocumentStore
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.cold_start import SILENCE_S
from domain.fleet.failure_classes import CREDENTIAL_KINDS, Failure, FailureKind
from domain.money.ledger_records import AttemptStatus
from state.fleet.backend_state import BackendStates
from state.money.gpu_sessions import GpuSessions
from state.money.ledger import Ledger
from tests.activities.cold_starts import cold_of, in_no_time, killed, sleeping
from tests.fakes.gpus import RATE_EXCEEDED, LoopClock
from tests.fakes.stores import Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER

GPU = sleeping(cold_of(60.0))
HELD = sleeping(cold_of(60.0, abandoned_starts=False))
FORBIDDEN = Failure(kind=FailureKind.STATUS, status=403)


class Door:
    """A backend that answers a knock after so many seconds, with a failure or none; a proof may take its time too."""

    def __init__(self, after_s: float, failure: Failure | None = None, *, proof_s: float = 0.0) -> None:
        self.after_s = after_s
        self.failure = failure
        self.proof_s = proof_s
        self.unproven: Failure | None = None
        self.knocks = 0
        self.open = 0

    async def authenticate(self) -> None:
        await asyncio.sleep(self.proof_s)
        if self.unproven:
            raise BackendError(self.unproven)

    async def probe(self) -> None:
        self.knocks += 1
        self.open += 1
        try:
            await asyncio.sleep(self.after_s)
        finally:
            self.open -= 1
        if self.failure:
            raise BackendError(self.failure)

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        raise AssertionError(f"nobody was to ask {call}")
        yield


class House:
    """A store, a backend behind a door, and who wakes it."""

    def __init__(self, door: Door, gpu: Backend = GPU) -> None:
        self.clock = LoopClock()
        self.gpu = gpu
        self.store = MemoryStore(self.clock)
        self.beliefs = BackendStates(self.store, self.clock)
        sessions = GpuSessions(store=self.store, ledger=Ledger(self.store, self.clock), clock=self.clock)
        self.waking = BackendWarmer(
            backend_states=self.beliefs, sessions=sessions, clients={"gpu": door}, clock=self.clock
        )

    async def believed(self) -> BackendState:
        return (await self.beliefs.read({"gpu": self.gpu}))["gpu"]

    async def wake(self, by: str = "one", *, wait: bool = True) -> bool:
        return await self.waking.warm_up(self.gpu, by, owner=OWNER, wait=wait)


@pytest.mark.parametrize(("wait", "expected_s"), [(True, 2.0), (False, 0.0)])
def test_a_wake_is_held_for_a_while_and_dropped(expected_s: float, *, wait: bool) -> None:
    async def story() -> None:
        door = Door(60)
        house = House(door)
        assert await house.wake(wait=wait)
        assert asyncio.get_running_loop().time() == pytest.approx(expected_s)
        await asyncio.sleep(3)
        assert (door.knocks, door.open) == (1, 0)
        belief = await house.believed()
        assert belief.is_starting(house.clock.now())
        assert belief.waking
        assert belief.waking.cold_at - belief.waking.since == pytest.approx(2.0)

    in_no_time(story())


def test_a_backend_that_answers_its_wake_is_up_and_its_start_is_learned() -> None:
    async def story() -> None:
        house = House(Door(1.5))
        assert await house.wake()
        assert asyncio.get_running_loop().time() == pytest.approx(1.5)
        belief = await house.believed()
        assert belief.is_warm(house.clock.now())
        assert belief.cold_samples == (pytest.approx(1.5),)
        assert not await house.wake("two")

    in_no_time(story())


def test_of_fifty_that_want_it_one_wakes_it() -> None:
    async def story() -> None:
        door = Door(60)
        house = House(door)
        woken = await asyncio.gather(*(house.wake(f"turn {number}") for number in range(50)))
        assert woken.count(True) == 1
        assert door.knocks == 1

    in_no_time(story())


def test_a_step_that_runs_twice_wakes_again_for_its_first_run_may_have_died_before_it_could() -> None:
    async def story() -> None:
        door = Door(60)
        house = House(door)
        first = asyncio.ensure_future(house.wake("one"))
        await asyncio.sleep(0.5)
        await killed([*house.waking.background_tasks])
        assert await first
        assert await house.wake("one")
        assert door.knocks == 2
        belief = await house.believed()
        assert belief.waking
        assert belief.waking.since - house.clock.now() == pytest.approx(-2.5)

    in_no_time(story())


def test_where_a_dropped_request_starts_nothing_it_is_held_on_and_the_step_ends() -> None:
    async def story() -> None:
        door = Door(60)
        house = House(door, HELD)
        assert await house.wake()
        assert asyncio.get_running_loop().time() == pytest.approx(2.0)
        await asyncio.sleep(30)
        assert door.open == 1
        belief = await house.believed()
        assert belief.is_starting(house.clock.now())
        await killed([*house.waking.background_tasks])
        await asyncio.sleep(SILENCE_S)
        assert not (await house.believed()).is_starting(house.clock.now())

    in_no_time(story())


def test_a_service_that_gives_the_wake_up_is_starting_all_the_same() -> None:
    async def story() -> None:
        house = House(Door(1, RATE_EXCEEDED))
        assert await house.wake()
        assert (await house.believed()).is_starting(house.clock.now())

    in_no_time(story())


@pytest.mark.parametrize("gpu", [GPU, HELD])
def test_a_service_that_refuses_the_wake_is_not_starting_and_says_why(gpu: Backend) -> None:
    async def story() -> None:
        house = House(Door(1, FORBIDDEN), gpu)
        assert await house.wake()
        belief = await house.believed()
        assert not belief.is_starting(house.clock.now())
        assert belief.failed_wake
        assert "status 403" in belief.failed_wake.reason

    in_no_time(story())


@pytest.mark.parametrize("kind", CREDENTIAL_KINDS)
def test_a_wake_that_nothing_proves_is_not_sent_and_says_who_refused(
    kind: FailureKind, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        door = Door(1)
        door.unproven = Failure(kind=kind, body="the hop said no; grant it a role")
        house = House(door)
        assert await house.wake()
        assert asyncio.get_running_loop().time() == 0
        belief = await house.believed()
        assert (door.knocks, belief.is_starting(house.clock.now())) == (0, False)
        assert belief.failed_wake
        assert "grant it a role" in belief.failed_wake.reason

    in_no_time(story())
    assert "gpu could not be warmed up: the hop said no; grant it a role" in caplog.text


@pytest.mark.parametrize(("proof_s", "expected_s"), [(3.0, 5.0), (30.0, 12.0)])
def test_a_wake_is_held_from_when_it_is_sent_however_long_its_proof_takes(proof_s: float, expected_s: float) -> None:
    async def story() -> None:
        door = Door(60, proof_s=proof_s)
        house = House(door)
        assert await house.wake()
        assert asyncio.get_running_loop().time() == pytest.approx(expected_s)
        await asyncio.sleep(proof_s + 1)
        belief = await house.believed()
        assert belief.waking
        assert belief.waking.since - house.clock.now() == pytest.approx(proof_s - asyncio.get_running_loop().time())
        assert belief.waking.cold_at - belief.waking.since == pytest.approx(2.0)

    in_no_time(story())


def test_a_wake_that_shows_nothing_in_its_time_is_lost_and_the_next_is_held_on() -> None:
    async def story() -> None:
        door = Door(1000)
        house = House(door)
        assert await house.wake("one")
        await asyncio.sleep(95)
        assert await house.wake("two")
        await asyncio.sleep(10)
        assert (door.knocks, door.open) == (2, 1)
        assert replace(await house.believed(), waking=None).must_hold_request(GPU)

    in_no_time(story())


@pytest.mark.parametrize("at", range(9))
@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER])
def test_a_wake_that_is_not_sent_as_the_store_failed_while_it_was_charged_costs_nothing(at: int, fault: Fault) -> None:
    async def story() -> None:
        door = Door(1.0)
        house = House(door)
        flaky = FlakyStore(house.store, Random(0), Faults(at={at: fault}))  # noqa: S311 - no chance is in it
        house.waking.sessions = paying(house, flaky)
        await house.wake("resp_a")
        session = (await paying(house, house.store).current(GPU)).session
        records = await Ledger(house.store, house.clock).records(OWNER, "resp_a")
        costs = [(each.status, each.cost) for each in records]
        assert session if door.knocks else (session is None and costs in ([], [(AttemptStatus.CLOSED, 0)]))

    in_no_time(story())


def paying(house: House, store: DocumentStore) -> GpuSessions:
    ledger = Ledger(store, house.clock)
    return GpuSessions(store=store, ledger=ledger, clock=house.clock)
