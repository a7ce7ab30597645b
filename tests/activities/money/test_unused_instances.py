"""Is every further instance that was started used, or is its warm-up recorded as a loss?"""

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given, settings

from domain.fleet.instances.numbered import number_of
from domain.money.attempt_charge import SessionShare
from domain.money.ledger_records import NANOS
from domain.money.sessions.gpu_sessions import session_cost
from state.money.session_documents import share_name
from tests.activities.gpus.counted_scenes import Scene, run
from tests.activities.money.test_sums_of_instances import Story, lived, stories
from tests.activities.routing.test_further_instances import pool, several
from tests.checks import at_most, every
from tests.domain.fleets import GPU


async def shares_of(scene: Scene) -> Mapping[str, Mapping[bool, list[SessionShare]]]:
    """Return the shares of each session by its name: those of warm-ups, and those of attempts."""
    found: dict[str, dict[bool, list[SessionShare]]] = {}
    for response in scene.responses:
        for record in await scene.cluster.world.ledger.records(response.owner, response.id):
            for name, share in record.charge.shares.items():
                found.setdefault(name, {True: [], False: []})[record.number == 0].append(share)
    return found


async def assert_used_or_lost(scene: Scene) -> int:
    """Return how many further instances were lost."""
    shares, lost = await shares_of(scene), 0
    sessions = await scene.cluster.world.app.state.gpu_session_billing.closed_sessions(scene.backend)
    assert len(sessions) == len(scene.gpu.lives)
    for each in sessions:
        of_session = shares[share_name(each.backend, each.id)]
        is_used = bool(of_session[False])
        assert every(share.unused is not is_used for kind in of_session.values() for share in kind)
        paid = sum((share.amount for kind in of_session.values() for share in kind), Decimal(0))
        assert paid == Decimal(session_cost(each, GPU)) / NANOS
        lost += number_of(each.backend) > 0 and not is_used
    return lost


@pytest.mark.slow
@pytest.mark.timeout(600)
@given(stories)
@settings(max_examples=at_most(5), deadline=None)
def test_a_further_instance_is_used_or_its_session_is_the_loss_of_its_warm_up(story: Story) -> None:
    async def told(scene: Scene) -> None:
        await lived(scene, story)
        await assert_used_or_lost(scene)

    run(told, lambda: Scene(gpu=pool(change_s=story.change_s), backend=several()))


def test_an_instance_that_no_turn_needs_is_the_loss_of_its_warm_up() -> None:
    async def told(scene: Scene) -> None:
        await scene.turn()
        (response,) = scene.responses
        warmer = scene.cluster.world.warmer
        assert await warmer.warm_up_further(scene.backend, response.id, owner=response.owner)
        await scene.end()
        assert len(scene.gpu.lives) == 2
        assert await assert_used_or_lost(scene) == 1

    run(told, lambda: Scene(gpu=pool(), backend=several()))
