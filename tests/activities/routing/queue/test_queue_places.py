"""Does a turn's place in a queue end with its wait?"""

import asyncio
from copy import replace
from decimal import Decimal

from domain.fleet.backend_state import BackendState
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from domain.routing.queueing import QueuedTurn, QueueWait
from domain.turns.response import Response
from tests.activities.cold_starts import ANSWER, EXPENSIVE, Cluster, cluster_with, cold_of
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import SleepingGpu
from tests.fakes.worlds import OWNER, backend

START_S = 40.0


async def state_of(cluster: Cluster, name: str = "gpu") -> BackendState:
    return (await cluster.world.app.state.backend_states.read(cluster.world.fleet.backends))[name]


async def end(cluster: Cluster, owner: Owner, response: Response) -> None:
    """End the response as the cancel endpoint does."""
    await cluster.world.turns.finish(owner, response.id, status=ResponseStatus.CANCELLED, code="", message="")


def test_places_that_ran_out_make_no_idle_gpu_look_busy() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 1.0)
        api = replace(backend("api"), price=replace(EXPENSIVE, output=Decimal(75)))
        cluster = cluster_with(gpu, cold_of(1.0), api=(api, FakeBackend(says(ANSWER))))
        first = await cluster.world.admit("hello", model="model@gpu")
        await cluster.run([first])
        states, the_gpu = cluster.world.app.state.backend_states, cluster.world.fleet.backends["gpu"]
        for number in range(24):
            turn = QueuedTurn(response=f"turn {number}", input_tokens=1, admitted_at=0.0, hold_s=10)
            wait = QueueWait(delay_s=1.0, kept_until=cluster.clock.now() + 31, reason="")
            await states.record_queued_turn(the_gpu, turn, wait)
        await asyncio.sleep(32)
        assert len((await state_of(cluster)).load.queue_places) == 24
        second = await cluster.world.admit("hello", model="auto")
        await cluster.run([second])
        (route,) = await cluster.world.turns.routes(OWNER, second.id)
        (idle,) = [each for each in route["route"]["candidates"] if each["backend"] == "gpu"]
        assert idle["seconds"] == idle["busy_s"]
        assert route["route"]["backend"] == "gpu"

    in_no_time(story())


def test_a_cancelled_turn_gives_up_its_place() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: START_S)
        cluster = cluster_with(gpu, cold_of(START_S))
        response = await cluster.world.admit("hello")
        running = asyncio.create_task(cluster.respond(response))
        await asyncio.sleep(10)
        assert set((await state_of(cluster)).load.queue_places) == {response.id}
        await end(cluster, OWNER, response)
        await running
        assert not (await state_of(cluster)).load.queue_places

    in_no_time(story())


def test_a_turn_that_moves_to_another_backend_gives_up_its_place() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: START_S)
        broken = FakeBackend(says(ANSWER))
        cluster = cluster_with(gpu, cold_of(START_S), api=(replace(backend("api"), price=EXPENSIVE), broken))
        response = await cluster.world.admit("hello", model="auto")
        states, the_gpu = cluster.world.app.state.backend_states, cluster.world.fleet.backends["gpu"]
        turn = QueuedTurn(response=response.id, input_tokens=1, admitted_at=response.created_at, hold_s=10)
        wait = QueueWait(delay_s=1.0, kept_until=cluster.clock.now() + 500, reason="")
        await states.record_queued_turn(the_gpu, turn, wait)
        await cluster.run([response])
        assert [each.backend for each in await cluster.world.ledger.attempts(OWNER, response.id)] == ["api"]
        assert not (await state_of(cluster)).load.queue_places

    in_no_time(story())


def test_a_turn_whose_deadline_comes_first_keeps_no_place() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 200.0)
        cluster = cluster_with(gpu, cold_of(30.0, 60.0))
        response = await cluster.world.admit("hello", deadline_s=90)
        await cluster.run([response])
        assert (await cluster.world.log(response)).status is ResponseStatus.FAILED
        assert not (await state_of(cluster)).load.queue_places

    in_no_time(story())


def test_a_turn_in_a_queue_does_not_wait_for_itself() -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: START_S)
        cluster = cluster_with(gpu, cold_of(START_S))
        response = await cluster.world.admit("hello")
        await cluster.run([response])
        routes = await cluster.world.turns.routes(OWNER, response.id)
        (candidate,) = routes[-1]["route"]["candidates"]
        assert candidate["seconds"] == candidate["rest_s"] + candidate["busy_s"]

    in_no_time(story())
