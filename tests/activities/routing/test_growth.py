"""Does a provider that starts several instances see the turns of a start, so that it starts as many as they need?"""

import asyncio
from copy import replace
from dataclasses import dataclass, field

import pytest

from clients.orchestrations import turn_wire
from domain.turns.response import Response
from tests.activities.cold_starts import Cluster, cold_gpu, cold_of
from tests.checks import every
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpu_pools import GpuPool
from tests.fakes.orchestration import FakeOrchestrations, Run, TimedEvents

START_S, ROOM, MOST = 60.0, 4, 3
SOON_S = 2.5
"""Within so many seconds each turn has called or is in line; the route that warms up holds its request for 2 s."""


@dataclass(slots=True)
class Burst:
    """Turns that come at once to a cold GPU of several instances."""

    pool: GpuPool = field(
        default_factory=lambda: GpuPool(
            start_s=lambda: START_S, concurrency=ROOM, max_instances=MOST, is_counted=False, average_s=START_S
        )
    )
    cluster: Cluster = field(init=False)
    host: FakeOrchestrations = field(default_factory=FakeOrchestrations)

    def __post_init__(self) -> None:
        backend = replace(cold_gpu(cold_of(START_S), concurrency=ROOM), max_instances=MOST)
        self.cluster = Cluster(backends={"gpu": (backend, self.pool)})
        self.cluster.world.orchestrations = self.host

    async def respond(self, response: Response) -> None:
        events = self.host.boards[response.id] = TimedEvents(self.cluster.clock)
        run = Run(clock=self.cluster.clock, steps=self.cluster.world.steps, done=[], history=[], events=events)
        await run.respond(turn_wire(response))

    async def serve(self, turns: int) -> None:
        """Run so many turns, which come within a tenth of a second."""
        responses: list[Response] = []
        tasks: list[asyncio.Task[None]] = []
        for _ in range(turns):
            responses.append(await self.cluster.world.admit("hello"))
            tasks.append(asyncio.create_task(self.respond(responses[-1])))
            await asyncio.sleep(0.1 / turns)
        await asyncio.gather(*tasks)
        await self.cluster.assert_answered(responses)


@pytest.mark.parametrize(
    ("turns", "instances"),
    [(ROOM, 1), (ROOM + 1, 1), (MOST * ROOM, 3), pytest.param(2 * MOST * ROOM, 3, marks=pytest.mark.slow)],
)
def test_a_burst_starts_all_the_instances_that_are_worth_their_price_at_once(turns: int, instances: int) -> None:
    async def story() -> None:
        burst = Burst()
        await burst.serve(turns)
        assert len(burst.pool.lives) == instances
        assert every(life.started < SOON_S for life in burst.pool.lives)

    in_no_time(story())


def test_turns_that_one_instance_has_room_for_wait_without_a_request() -> None:
    async def story() -> None:
        burst = Burst()
        serving = asyncio.create_task(burst.serve(ROOM))
        await asyncio.sleep(START_S / 2)
        assert len(burst.pool.arrivals) == 1
        await serving

    in_no_time(story())


def test_a_held_request_outlasts_a_start() -> None:
    """An attempt that waits for an instance does not end before that can be up, and is made once."""

    async def story() -> None:
        burst = Burst()
        await burst.serve(MOST * ROOM)
        assert len(burst.pool.arrivals) == MOST * ROOM + 1

    in_no_time(story())
