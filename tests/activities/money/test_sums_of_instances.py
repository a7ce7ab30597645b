"""Do ledger, sessions and usage agree over several instances, whatever starts, ends, fails or dies in between?"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from domain.fleet.failure_classes import Failure, FailureKind
from domain.money.ledger_records import NANOS
from domain.money.sessions.gpu_sessions import session_cost
from tests.activities.gpus.counted_scenes import Scene, pool, run, usage_of
from tests.activities.routing.test_further_instances import several
from tests.checks import at_most
from tests.domain.fleets import GPU
from tests.fakes.worlds import OWNER

NOT_NOW = Failure(kind=FailureKind.STATUS, status=429, body="not now")


class Story(Struct, frozen=True, kw_only=True):
    """Bursts of turns after pauses, a kill, and a time in which the API refuses counts above 1; times are seconds.

    A lower count takes effect `change_s` seconds late.
    """

    bursts: Sequence[tuple[float, int]]
    killed_at: float | None
    refused: tuple[float, float]
    change_s: float


stories = st.builds(
    Story,
    bursts=st.lists(st.tuples(st.floats(0, 120), st.integers(1, 9)), min_size=1, max_size=2),
    killed_at=st.none() | st.floats(1, 150),
    refused=st.tuples(st.floats(0, 60), st.floats(0, 20)),
    change_s=st.sampled_from([0.0, 3.0, 15.0]),
)


async def lived(scene: Scene, story: Story) -> None:
    """Let the turns come, and let the process die between them; the next one goes on with what is left."""
    begins, lasts = story.refused
    scene.refuse_while(NOT_NOW, lambda count: count > 1 and begins <= scene.gpu.now < begins + lasts)
    arriving = asyncio.create_task(arrivals(scene, story.bursts))
    if story.killed_at is not None:
        await asyncio.sleep(story.killed_at)
        await scene.kill_process([arriving])
        await asyncio.gather(*(scene.cluster.respond(response) for response in scene.responses))
    else:
        await arriving
    await scene.end()


async def arrivals(scene: Scene, bursts: Sequence[tuple[float, int]]) -> None:
    async with asyncio.TaskGroup() as turns:
        turns.create_task(scene.turn())
        for pause_s, count in bursts:
            await asyncio.sleep(pause_s)
            for _ in range(count):
                turns.create_task(scene.turn())


async def sessions_total(scene: Scene) -> Decimal:
    closed = await scene.cluster.world.app.state.gpu_session_billing.closed_sessions(scene.backend)
    return Decimal(sum(session_cost(each, GPU) for each in closed)) / NANOS


@pytest.mark.slow
@pytest.mark.timeout(600)
@given(stories)
@settings(max_examples=at_most(5), deadline=None)
def test_ledger_sessions_usage_and_bill_agree(story: Story) -> None:
    async def told(scene: Scene) -> None:
        await lived(scene, story)
        ledger = await scene.ledger()
        assert await sessions_total(scene) == ledger
        assert await usage_of(scene, OWNER) == ledger
        assert ledger == scene.bill
        assert scene.gpu.instances == []

    run(told, lambda: Scene(gpu=pool(change_s=story.change_s), backend=several()))
