"""Is a cold backend warmed up by one turn, however many need it, and is the result recorded?"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from copy import replace
from random import Random

import pytest

from activities.routing.instance_keeper import InstanceKeeper
from activities.routing.start_observer import StartObserver
from activities.routing.warm_up import BackendWarmer
from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from clients.instances.port import NoCounter
from clients.storage.port import DocumentStore
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend, Fleet
from domain.fleet.cold_start import SILENCE_S
from domain.fleet.failure_classes import CREDENTIAL_KINDS, Failure, FailureKind
from domain.money.attempt_charge import AttemptStatus
from domain.money.budgets import Budgets
from state.fleet.backend_state import BackendStates
from state.fleet.count_leases import CountLeases
from state.money.gpu_sessions import GpuSessions
from state.money.ledger import Ledger
from tests.activities.cold_starts import cold_gpu, cold_of, kill
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import RATE_EXCEEDED, LoopClock
from tests.fakes.stores import Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER

GPU = cold_gpu(cold_of(60.0))
HELD = cold_gpu(cold_of(60.0, abandoned_starts=False))
FORBIDDEN = Failure(kind=FailureKind.STATUS, status=403)


class ColdBackend:
    """A backend that answers a probe after `after_s` seconds, perhaps with a failure; authentication takes time too."""

    def __init__(self, after_s: float, failure: Failure | None = None, *, authentication_s: float = 0.0) -> None:
        self.after_s = after_s
        self.failure = failure
        self.authentication_s = authentication_s
        self.authentication_failure: Failure | None = None
        self.probes = 0
        self.open = 0

    async def authenticate(self) -> None:
        await asyncio.sleep(self.authentication_s)
        if self.authentication_failure:
            raise BackendError(self.authentication_failure)

    async def probe(self) -> None:
        self.probes += 1
        self.open += 1
        try:
            await asyncio.sleep(self.after_s)
        finally:
            self.open -= 1
        if self.failure:
            raise BackendError(self.failure)

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        raise AssertionError(f"no call was expected: {call}")
        yield


class Scene:
    """A store, a cold backend, and its warmer."""

    def __init__(self, cold: ColdBackend, gpu: Backend = GPU) -> None:
        self.clock = LoopClock()
        self.gpu = gpu
        self.store = MemoryStore(self.clock)
        self.backend_states = BackendStates(self.store, self.clock)
        sessions = GpuSessions(store=self.store, ledger=Ledger(self.store, self.clock, Budgets()), clock=self.clock)
        clients = {"gpu": cold}
        observer = StartObserver(
            backend_states=self.backend_states,
            sessions=sessions,
            clients=clients,
            fleet=Fleet(models={}, backends={"gpu": gpu}),
            clock=self.clock,
        )
        self.warmer = BackendWarmer(
            backend_states=self.backend_states,
            sessions=sessions,
            clients=clients,
            clock=self.clock,
            observer=observer,
            keeper=InstanceKeeper(
                backend_states=self.backend_states,
                sessions=sessions,
                leases=CountLeases(self.store, self.clock),
                counter=NoCounter(),
                clients=clients,
                fleet=Fleet(models={}, backends={"gpu": gpu}),
                clock=self.clock,
            ),
        )

    async def state(self) -> BackendState:
        return (await self.backend_states.read({"gpu": self.gpu}))["gpu"]

    async def warm_up(self, by: str = "one", *, wait: bool = True) -> bool:
        return await self.warmer.warm_up(self.gpu, by, owner=OWNER, wait=wait)


@pytest.mark.parametrize(("wait", "expected_s"), [(True, 2.0), (False, 0.0)])
def test_a_warm_up_request_is_held_for_a_while_and_dropped(expected_s: float, *, wait: bool) -> None:
    async def story() -> None:
        cold = ColdBackend(60)
        scene = Scene(cold)
        assert await scene.warm_up(wait=wait)
        assert asyncio.get_running_loop().time() == pytest.approx(expected_s)
        await asyncio.sleep(3)
        assert (cold.probes, cold.open) == (1, 0)
        state = await scene.state()
        assert state.warmth.is_starting(scene.clock.now())
        assert state.warmth.warm_up
        assert state.warmth.warm_up.cold_at - state.warmth.warm_up.since == pytest.approx(2.0)

    in_no_time(story())


def test_a_backend_that_answers_its_warm_up_is_warm_and_its_start_time_is_recorded() -> None:
    async def story() -> None:
        scene = Scene(ColdBackend(1.5))
        assert await scene.warm_up()
        assert asyncio.get_running_loop().time() == pytest.approx(1.5)
        state = await scene.state()
        assert state.warmth.is_warm(scene.clock.now())
        assert state.start_times.samples == (pytest.approx(1.5),)
        assert not await scene.warm_up("two")

    in_no_time(story())


def test_one_of_fifty_turns_warms_the_backend_up() -> None:
    async def story() -> None:
        cold = ColdBackend(60)
        scene = Scene(cold)
        sent = await asyncio.gather(*(scene.warm_up(f"turn {number}") for number in range(50)))
        assert sent.count(True) == 1
        assert cold.probes == 1

    in_no_time(story())


def test_a_repeated_step_warms_up_again_as_its_first_run_may_have_died() -> None:
    async def story() -> None:
        cold = ColdBackend(60)
        scene = Scene(cold)
        first = asyncio.ensure_future(scene.warm_up("one"))
        await asyncio.sleep(0.5)
        await kill([*scene.warmer.background_tasks])
        assert await first
        assert await scene.warm_up("one")
        assert cold.probes == 2
        state = await scene.state()
        assert state.warmth.warm_up
        assert state.warmth.warm_up.since - scene.clock.now() == pytest.approx(-2.5)

    in_no_time(story())


def test_a_request_that_must_be_held_is_held_after_the_step_has_ended() -> None:
    async def story() -> None:
        cold = ColdBackend(60)
        scene = Scene(cold, HELD)
        assert await scene.warm_up()
        assert asyncio.get_running_loop().time() == pytest.approx(2.0)
        await asyncio.sleep(30)
        assert cold.open == 1
        state = await scene.state()
        assert state.warmth.is_starting(scene.clock.now())
        await kill([*scene.warmer.background_tasks])
        await asyncio.sleep(SILENCE_S)
        assert not (await scene.state()).warmth.is_starting(scene.clock.now())

    in_no_time(story())


def test_a_service_that_times_a_warm_up_out_is_still_starting() -> None:
    async def story() -> None:
        scene = Scene(ColdBackend(1, RATE_EXCEEDED))
        assert await scene.warm_up()
        assert (await scene.state()).warmth.is_starting(scene.clock.now())

    in_no_time(story())


@pytest.mark.parametrize("gpu", [GPU, HELD])
def test_a_service_that_rejects_a_warm_up_is_not_starting_and_the_state_has_the_reason(gpu: Backend) -> None:
    async def story() -> None:
        scene = Scene(ColdBackend(1, FORBIDDEN), gpu)
        assert await scene.warm_up()
        state = await scene.state()
        assert not state.warmth.is_starting(scene.clock.now())
        assert state.warmth.failed_warm_up
        assert "status 403" in state.warmth.failed_warm_up.reason

    in_no_time(story())


@pytest.mark.parametrize("kind", CREDENTIAL_KINDS)
def test_a_warm_up_that_cannot_authenticate_is_not_sent_and_the_state_has_the_reason(
    kind: FailureKind, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        cold = ColdBackend(1)
        cold.authentication_failure = Failure(kind=kind, body="the hop said no; grant it a role")
        scene = Scene(cold)
        assert await scene.warm_up()
        assert asyncio.get_running_loop().time() == 0
        state = await scene.state()
        assert (cold.probes, state.warmth.is_starting(scene.clock.now())) == (0, False)
        assert state.warmth.failed_warm_up
        assert "grant it a role" in state.warmth.failed_warm_up.reason

    in_no_time(story())
    assert "gpu could not be warmed up: the hop said no; grant it a role" in caplog.text


@pytest.mark.parametrize(("authentication_s", "expected_s"), [(3.0, 5.0), (30.0, 12.0)])
def test_the_hold_begins_when_the_request_is_sent_however_long_authentication_takes(
    authentication_s: float, expected_s: float
) -> None:
    async def story() -> None:
        cold = ColdBackend(60, authentication_s=authentication_s)
        scene = Scene(cold)
        assert await scene.warm_up()
        assert asyncio.get_running_loop().time() == pytest.approx(expected_s)
        await asyncio.sleep(authentication_s + 1)
        state = await scene.state()
        assert state.warmth.warm_up
        assert state.warmth.warm_up.since - scene.clock.now() == pytest.approx(
            authentication_s - asyncio.get_running_loop().time()
        )
        assert state.warmth.warm_up.cold_at - state.warmth.warm_up.since == pytest.approx(2.0)

    in_no_time(story())


def test_after_a_warm_up_without_effect_the_next_request_is_held() -> None:
    async def story() -> None:
        cold = ColdBackend(1000)
        scene = Scene(cold)
        assert await scene.warm_up("one")
        await asyncio.sleep(95)
        assert await scene.warm_up("two")
        await asyncio.sleep(10)
        assert (cold.probes, cold.open) == (2, 1)
        warmth = (await scene.state()).warmth
        assert replace(warmth, warm_up=None).must_hold_request(GPU)

    in_no_time(story())


@pytest.mark.parametrize("at", range(9))
@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER])
def test_a_warm_up_whose_charge_failed_is_not_sent_and_costs_nothing(at: int, fault: Fault) -> None:
    async def story() -> None:
        cold = ColdBackend(1.0)
        scene = Scene(cold)
        flaky = FlakyStore(scene.store, Random(0), Faults(at={at: fault}))  # noqa: S311 - no chance is in it
        scene.warmer.sessions = paying(scene, flaky)
        await scene.warm_up("resp_a")
        session = (await paying(scene, scene.store).current(GPU)).session
        records = await Ledger(scene.store, scene.clock, Budgets()).records(OWNER, "resp_a")
        costs = [(each.charge.status, each.charge.cost) for each in records]
        assert session if cold.probes else (session is None and costs in ([], [(AttemptStatus.CLOSED, 0)]))

    in_no_time(story())


def paying(scene: Scene, store: DocumentStore) -> GpuSessions:
    ledger = Ledger(store, scene.clock, Budgets())
    return GpuSessions(store=store, ledger=ledger, clock=scene.clock)
