"""Does no instance run on whose count was set late, again, or not at all, beside other changes of the count?"""

import asyncio
from collections.abc import Callable
from copy import replace
from typing import Any

import pytest

from clients.backends.port import BackendError
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Failure, FailureKind
from domain.ids import operator_warm_up_id
from tests.activities.gpus.counted_scenes import Scene, run
from tests.activities.routing.test_further_instances import counts, pool, scene, several
from tests.fakes.machines.gpu_pools import GpuPool
from tests.fakes.worlds import OWNER


def test_a_start_that_the_api_delays_beyond_the_idle_period_leaves_no_instance_behind() -> None:
    busy = Failure(kind=FailureKind.STATUS, status=429, body="not now")

    async def story(scene: Scene) -> None:
        scene.refuse_while(busy, lambda count: count > 1 and scene.gpu.now < 50)
        turn = asyncio.create_task(scene.turn())
        await asyncio.sleep(25)
        assert await further(scene)
        await turn
        await scene.end()
        assert scene.gpu.instances == []
        assert await scene.ledger() == scene.bill

    run(story, impatient)


def test_an_instance_whose_claim_is_lost_when_its_count_is_set_is_ended() -> None:
    async def story(scene: Scene) -> None:
        late = await with_a_late_count(scene)
        await asyncio.sleep(200)
        assert await scene.cluster.world.app.state.count_leases.read(scene.backend) is None
        late.may_send.set()
        await scene.end()
        assert max(counts(scene)) == 2
        assert scene.gpu.instances == []

    run(story, impatient)


def test_an_instance_whose_count_is_set_while_the_others_end_is_ended_too() -> None:
    async def story(scene: Scene) -> None:
        late = await with_a_late_count(scene)
        await until(lambda: 0 in counts(scene))
        late.may_send.set()
        await scene.end()
        assert max(counts(scene)) == 2
        assert scene.gpu.instances == []

    run(story, lambda: impatient(change_s=15.0))


@pytest.mark.parametrize("is_answered", [True, False])
def test_the_first_instance_is_ended_although_its_start_was_set_after_its_end(is_answered: bool) -> None:  # noqa: FBT001
    async def story(scene: Scene) -> None:
        late = LateCounter(scene.gpu, above=0, failure=None if is_answered else Failure(kind=FailureKind.READ_TIMEOUT))
        scene.cluster.world.app.activities.keeper.counts.counter = late
        await scene.cluster.world.warmer.warm_up(scene.backend, operator_warm_up_id("1"), owner=OWNER, wait=False)
        await until(lambda: counts(scene) == [0])
        await asyncio.sleep(1)
        late.may_send.set()
        await scene.end()
        assert max(counts(scene)) == 1
        assert scene.gpu.instances == []

    run(story, scene)


def test_a_repeated_start_does_not_lower_the_count_that_another_turn_has_set() -> None:
    busy = Failure(kind=FailureKind.STATUS, status=503, body="not now")

    async def story(scene: Scene) -> None:
        scene.refuse_while(busy, lambda count: count == 1 and scene.gpu.now < 10)
        turn = asyncio.create_task(scene.turn())
        await asyncio.sleep(2)
        assert await further(scene)
        await asyncio.sleep(20)
        assert scene.gpu.count == 2
        await turn
        await scene.end()
        assert scene.gpu.instances == []
        assert await scene.ledger() >= scene.bill

    run(story, scene)


def test_an_instance_is_paid_from_its_start_although_a_higher_count_is_refused_meanwhile() -> None:
    busy = Failure(kind=FailureKind.STATUS, status=503, body="not now")

    async def story(scene: Scene) -> None:
        scene.refuse_while(busy, lambda count: scene.gpu.now < (3 if count == 1 else 12))
        turn = asyncio.create_task(scene.turn())
        await asyncio.sleep(2)
        assert await further(scene)
        await turn
        await scene.end()
        assert len(scene.gpu.lives) == 2
        assert await scene.ledger() >= scene.bill

    run(story, scene)


def test_an_instance_is_paid_from_the_first_call_that_may_have_started_it() -> None:
    async def story(scene: Scene) -> None:
        scene.cluster.world.app.activities.keeper.counts.counter = UnheardCounter(scene.gpu)
        await scene.turn()
        await scene.end()
        assert counts(scene) == [1, 1, 0]
        await scene.assert_paid()

    run(story, scene)


def test_a_start_that_no_budget_covers_forgets_no_instance_that_may_run_still() -> None:
    async def story(scene: Scene) -> None:
        turn = asyncio.create_task(scene.turn())
        await asyncio.sleep(25)
        state = scene.cluster.world.app.state
        found = await state.count_leases.read(scene.backend)
        assert found
        await state.count_leases.replace(scene.backend, found, replace(found.lease, target=2))
        state.gpu_sessions.is_covered = refused
        assert await further(scene)
        await turn
        await scene.end()
        assert counts(scene) == [1, 1, 0]

    run(story, scene)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so, for ten minutes at most."""
    for _ in range(600):
        if is_so():
            return
        await asyncio.sleep(1)


class LateCounter:
    """Sends counts `above` this one to a GPU as soon as the event is set; with a `failure` no answer comes."""

    def __init__(self, gpu: GpuPool, *, above: int = 1, failure: Failure | None = None) -> None:
        self.gpu = gpu
        self.above = above
        self.failure = failure
        self.may_send = asyncio.Event()

    async def set_count(self, backend: Backend, count: int) -> str:
        if count <= self.above:
            return await self.gpu.set_count(backend, count)
        await self.may_send.wait()
        found = await self.gpu.set_count(backend, count)
        if self.failure:
            raise BackendError(self.failure)
        return found

    async def wait(self, backend: Backend, operation: str) -> None:
        await self.gpu.wait(backend, operation)


class UnheardCounter:
    """Changes the count of a GPU, and answers no first call."""

    def __init__(self, gpu: GpuPool) -> None:
        self.gpu = gpu

    async def set_count(self, backend: Backend, count: int) -> str:
        found = await self.gpu.set_count(backend, count)
        if len(self.gpu.calls) == 1:
            raise BackendError(Failure(kind=FailureKind.READ_TIMEOUT))
        return found

    async def wait(self, backend: Backend, operation: str) -> None:
        await self.gpu.wait(backend, operation)


def impatient(*, change_s: float = 0.0) -> Scene:
    """Return a scene with an idle period of a second."""
    backend = several()
    return Scene(
        gpu=pool(change_s=change_s), backend=replace(backend, cold_start=replace(backend.cold_start, idle_s=1.0))
    )


async def further(scene: Scene) -> bool:
    """Start one more instance for the first turn."""
    first = scene.responses[0]
    return await scene.cluster.world.warmer.warm_up_further(scene.backend, first.id, owner=first.owner)


async def refused(*_: Any, **_options: Any) -> bool:
    return False


async def with_a_late_count(scene: Scene) -> LateCounter:
    """Run a turn that starts one more instance, whose count is held back until `may_send`."""
    turn = asyncio.create_task(scene.turn())
    await asyncio.sleep(25)
    late = LateCounter(scene.gpu)
    scene.cluster.world.app.activities.keeper.counts.counter = late
    assert await further(scene)
    await turn
    return late
