"""Does the first turn that waits for a start watch it, so that no GPU is up and idle before its usual time?"""

import asyncio
from copy import replace
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from clients.orchestrations import turn_wire
from domain.fleet.cold_start import StartTimes
from domain.turns.response import Response
from state.turns.cancelling import cancelled
from tests.activities.cold_starts import Cluster, cluster_with, cold_of, kill
from tests.checks import every
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import SleepingGpu
from tests.fakes.orchestration import FakeOrchestrations, Run, TimedEvents
from tests.fakes.worlds import OWNER

MEDIAN_S = 150.0
SHORTEST_S = 100.0
SEEN = StartTimes(p50_s=MEDIAN_S, p99_s=240.0, samples=(SHORTEST_S, MEDIAN_S, MEDIAN_S, 240.0))
STEP_S = 6.0
"""Between two probes at the median at most."""


@dataclass(slots=True)
class Watched:
    """Turns that wait for a GPU whose starts are known; events of places reach them."""

    start_s: float
    gpu: SleepingGpu = field(init=False)
    cluster: Cluster = field(init=False)
    host: FakeOrchestrations = field(default_factory=FakeOrchestrations)
    responses: list[Response] = field(default_factory=list[Response])
    runs: list[Run] = field(default_factory=list[Run])

    def __post_init__(self) -> None:
        self.gpu = SleepingGpu(start_s=lambda: self.start_s, average_s=MEDIAN_S)
        self.cluster = cluster_with(self.gpu, cold_of(MEDIAN_S, 300.0))
        self.cluster.world.orchestrations = self.host

    async def begin(self, turns: int) -> list[asyncio.Task[None]]:
        """Let so many turns come, one after another."""
        backend, _ = self.cluster.backends["gpu"]
        states = self.cluster.world.app.state.backend_states
        await states.update(backend, lambda state: replace(state, start_times=SEEN))
        tasks: list[asyncio.Task[None]] = []
        for _ in range(turns):
            self.responses.append(await self.cluster.world.admit("hello"))
            self.runs.append(Run(clock=self.cluster.clock, steps={}, done=[], history=[]))
            tasks.append(self.follow(len(self.runs) - 1))
            await asyncio.sleep(0.1)
        return tasks

    def follow(self, number: int) -> asyncio.Task[None]:
        run, response = self.runs[number], self.responses[number]
        run.steps = self.cluster.world.steps
        run.events = self.host.boards[response.id] = TimedEvents(self.cluster.clock)
        return asyncio.create_task(run.respond(turn_wire(response)))

    async def restart(self, tasks: list[asyncio.Task[None]]) -> list[asyncio.Task[None]]:
        """Kill the process; the next one goes on with the histories of its turns."""
        await kill([*tasks, *self.cluster.world.warmer.background_tasks])
        self.cluster.world = self.cluster.new_process()
        self.cluster.world.orchestrations = self.host
        return [self.follow(number) for number in range(len(tasks))]

    @property
    def ready_s(self) -> float:
        (life,) = self.gpu.lives
        assert life.ready
        return life.ready

    async def first_tokens(self) -> list[float]:
        await self.cluster.assert_answered(self.responses)
        return [await self.cluster.first_token_s(each) for each in self.responses]


@pytest.mark.parametrize("start_s", [92.0, 105.0, 123.0, 139.0, 155.0, 200.0])
def test_a_gpu_is_used_by_all_turns_in_line_within_seconds_of_its_start(start_s: float) -> None:
    async def story() -> None:
        watched = Watched(start_s)
        await asyncio.gather(*await watched.begin(3))
        used = await watched.first_tokens()
        assert every(at - watched.ready_s < STEP_S for at in used), (used, watched.ready_s)

    in_no_time(story())


def test_a_start_is_probed_in_growing_steps_from_shortly_before_the_shortest_one() -> None:
    async def story() -> None:
        watched = Watched(139.0)
        await asyncio.gather(*await watched.begin(3))
        looks = [at for at in watched.gpu.arrivals if 3 < at < watched.ready_s]
        assert looks[0] == pytest.approx(0.9 * SHORTEST_S, abs=3)
        gaps = [later - earlier for earlier, later in pairwise(looks)]
        assert every(3.0 <= gap <= STEP_S + 0.1 for gap in gaps), gaps
        assert gaps == sorted(gaps)

    in_no_time(story())


@pytest.mark.slow
def test_a_start_that_takes_far_longer_than_usual_gets_some_dozens_of_probes() -> None:
    async def story() -> None:
        watched = Watched(900.0)
        await asyncio.gather(*await watched.begin(1))
        assert len(watched.gpu.arrivals) < 90
        assert len(watched.gpu.lives) == 1

    in_no_time(story())


@pytest.mark.parametrize("kill_s", [50.0, 95.0, 110.0])
def test_a_watch_goes_on_after_a_crash(kill_s: float) -> None:
    async def story() -> None:
        watched = Watched(123.0)
        tasks = await watched.begin(3)
        await asyncio.sleep(kill_s)
        await asyncio.gather(*await watched.restart(tasks))
        used = await watched.first_tokens()
        assert every(at - watched.ready_s < STEP_S for at in used), (used, watched.ready_s)

    in_no_time(story())


@pytest.mark.parametrize("cancel_s", [5.0, 50.0, 95.0, 110.0])
def test_the_next_turn_in_line_watches_where_the_first_one_is_cancelled(cancel_s: float) -> None:
    async def story() -> None:
        watched = Watched(123.0)
        tasks = await watched.begin(3)
        await asyncio.sleep(cancel_s)
        await cancelled(watched.cluster.world.turns, OWNER, watched.responses.pop(0).id)
        await asyncio.gather(*tasks)
        used = await watched.first_tokens()
        assert every(at - watched.ready_s < STEP_S for at in used), (used, watched.ready_s)

    in_no_time(story())


def test_no_probe_comes_where_no_turn_waits_any_more() -> None:
    async def story() -> None:
        watched = Watched(123.0)
        (task,) = await watched.begin(1)
        await asyncio.sleep(50)
        before = len(watched.gpu.arrivals)
        await kill([task])
        await asyncio.sleep(3000)
        assert len(watched.gpu.arrivals) == before
        assert len(watched.gpu.lives) == 1

    in_no_time(story())
