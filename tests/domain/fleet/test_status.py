"""Is a backend asleep, starting or warm, and what keeps turns away from it?"""

from copy import replace

import pytest

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.cold_start import FailedWarmUp, WarmUp
from domain.fleet.status import BackendStatus, Obstacle, obstacle_of, status_of
from tests.domain.fleets import SERVERLESS, backend

NOW = 1000.0
GPU = backend("gpu", cold=SERVERLESS)
COLD = initial_state(GPU)


def state(**warmth: object) -> BackendState:
    return replace(COLD, warmth=replace(COLD.warmth, **warmth))


STARTING = WarmUp(by="resp_1", since=NOW - 5, until=NOW + 60, cold_at=NOW - 5)


@pytest.mark.parametrize(
    ("known", "status"),
    [
        (COLD, BackendStatus.ASLEEP),
        (state(warm_until=NOW), BackendStatus.ASLEEP),
        (state(warm_until=NOW + 1), BackendStatus.WARM),
        (state(warm_up=STARTING), BackendStatus.STARTING),
        (state(warm_up=STARTING, warm_until=NOW + 1), BackendStatus.WARM),
        (state(warm_up=replace(STARTING, until=NOW)), BackendStatus.ASLEEP),
    ],
)
def test_a_backend_that_scales_to_zero_has_a_status(known: BackendState, status: BackendStatus) -> None:
    assert status_of(GPU, known, NOW) is status


def test_a_backend_that_never_sleeps_is_always_on() -> None:
    api = backend("api", price="api")
    assert status_of(api, initial_state(api), NOW) is BackendStatus.ALWAYS_ON


def test_the_gravest_obstacle_that_is_not_over_is_named() -> None:
    failed = FailedWarmUp(at=NOW, again_at=NOW + 30, tries=1, final=False, reason="")
    known = state(failed_warm_up=failed)
    assert obstacle_of(COLD, NOW) is None
    assert obstacle_of(known, NOW) == (Obstacle.WARM_UP_FAILED, NOW + 30)
    assert obstacle_of(known, NOW + 30) is None
    cooling = replace(known, health=replace(COLD.health, cooldown_until=NOW + 10))
    assert obstacle_of(cooling, NOW) == (Obstacle.COOLING_DOWN, NOW + 10)
    assert obstacle_of(cooling, NOW + 10) == (Obstacle.WARM_UP_FAILED, NOW + 30)
    opened = replace(known, health=replace(cooling.health, circuit_open_until=NOW + 5))
    assert obstacle_of(opened, NOW) == (Obstacle.CIRCUIT_OPEN, NOW + 5)
