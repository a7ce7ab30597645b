"""What of a backend's new state has other processes to know at once?"""

from copy import replace
from typing import Any

import pytest

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import ColdStart
from domain.fleet.instances.further import FurtherInstance
from domain.fleet.load import Load
from state.fleet.learned_news import LEARN_S, claims_scarce, learn_s, longer_used_s, shows_nothing_new
from tests.fakes.worlds import backend

MAIN = backend("main")
PAGED = replace(MAIN, limits=replace(MAIN.limits, kv_tokens=1600))
STATE = initial_state(MAIN)
NOW = 1_000_000.0
SECOND, THIRD = FurtherInstance(by="r2", since=1.0, used_at=10.0), FurtherInstance(by="r3", since=2.0, used_at=10.0)


def warm(**changes: Any) -> BackendState:
    return replace(STATE, warmth=replace(STATE.warmth, **{"warm_until": 100.0, "further": (SECOND,), **changes}))


def sleeper(idle_s: float) -> ColdStart:
    return ColdStart(scales_to_zero=True, p50_s=1, p99_s=2, idle_s=idle_s)


@pytest.mark.parametrize(
    ("cold_start", "seconds"), [(sleeper(60), 1.0), (sleeper(299), 299 / 60), (sleeper(3600), LEARN_S)]
)
def test_the_known_warm_time_is_short_by_a_sixtieth_of_an_idle_period_at_most(
    cold_start: ColdStart, seconds: float
) -> None:
    assert learn_s(replace(MAIN, cold_start=cold_start)) == pytest.approx(seconds)


def test_a_backend_that_never_sleeps_has_no_idle_period_to_fall_short_of() -> None:
    assert learn_s(replace(MAIN, cold_start=replace(sleeper(6), scales_to_zero=False))) == LEARN_S


@pytest.mark.parametrize(
    ("after", "is_nothing_new"),
    [
        (warm(), True),
        (warm(warm_until=104.9), True),
        (warm(warm_until=105.0), False),
        (warm(warm_until=95.0), False),
        (warm(warm_until=None), False),
        (warm(further=(replace(SECOND, used_at=14.9),)), True),
        (warm(further=(replace(SECOND, used_at=15.0),)), False),
        (warm(further=(SECOND, THIRD)), False),
        (warm(further=()), False),
        (warm(further=(replace(SECOND, by="r9"),)), False),
        (warm(started_at=1.0), False),
        (replace(warm(), speed=replace(STATE.speed, prefill_tokens_s=1.0)), True),
        (replace(warm(), health=replace(STATE.health, errors=1)), False),
    ],
)
def test_only_speed_and_a_little_warm_time_can_wait(after: BackendState, *, is_nothing_new: bool) -> None:
    assert shows_nothing_new(warm(), after, within_s=5.0) is is_nothing_new


def test_the_first_warm_time_is_news() -> None:
    assert not shows_nothing_new(warm(warm_until=None), warm(), within_s=5.0)


def test_the_instance_that_was_used_longest_counts() -> None:
    before, after = (SECOND, THIRD), (replace(SECOND, used_at=12.0), replace(THIRD, used_at=17.0))
    assert longer_used_s(before, after) == 7.0
    assert longer_used_s((), ()) == 0.0
    assert longer_used_s(before, (THIRD, SECOND)) is None


def claiming(**claims: int) -> BackendState:
    load = Load(in_flight=dict.fromkeys(claims, NOW + 60), claims=claims)
    return replace(STATE, load=load)


@pytest.mark.parametrize(("claim", "is_told"), [(64, False), (80, False), (96, True), (1600, True)])
def test_a_claim_is_told_where_sixteen_others_like_it_would_not_fit_beside_it(claim: int, *, is_told: bool) -> None:
    assert claims_scarce(STATE, claiming(a=claim), PAGED, NOW) is is_told
    assert claims_scarce(claiming(b=16), claiming(a=claim, b=16), PAGED, NOW) is is_told


def test_memory_that_is_given_back_or_was_claimed_before_can_wait() -> None:
    assert not claims_scarce(claiming(a=800, b=800), claiming(a=800), PAGED, NOW)
    assert not claims_scarce(claiming(a=1600), claiming(a=1600), PAGED, NOW)
