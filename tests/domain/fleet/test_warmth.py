"""When does a backend count as warm, starting or cold, and whose report changes that?"""

from copy import replace
from typing import Any

import pytest

from domain.fleet.cold_start import FailedWarmUp, WarmUp
from domain.fleet.failure_classes import Diagnosis, FailureClass
from domain.fleet.instances.further import CLAIM_S, FurtherInstance
from domain.fleet.instances.scaling import Scaling
from domain.fleet.warmth import Warmth
from tests.domain.fleets import SERVERLESS, backend
from tests.domain.logs import through_json

NOW = 1000.0
GPU = backend("gpu", cold=SERVERLESS)
STARTING = Warmth(warm_up=WarmUp(by="r1", since=NOW - 5, until=NOW + 30, cold_at=NOW - 5), started_at=NOW - 5)
FAILED = FailedWarmUp(at=NOW, again_at=NOW + 1, tries=1, final=False, reason="status 500")


def held(held_until: float | None, **changes: Any) -> Warmth:
    assert STARTING.warm_up is not None
    return replace(STARTING, warm_up=replace(STARTING.warm_up, held_until=held_until), **changes)


@pytest.mark.parametrize(
    ("warmth", "at", "is_warm", "is_starting"),
    [
        (Warmth(), NOW, False, False),
        (Warmth(warm_until=NOW + 1), NOW, True, False),
        (Warmth(warm_until=NOW), NOW, False, False),
        (STARTING, NOW, False, True),
        (STARTING, NOW + 30, False, False),
        (held(NOW + 2), NOW + 1, False, True),
        (held(NOW + 2), NOW + 2, False, False),
        (replace(STARTING, warm_until=NOW + 1), NOW, True, False),
    ],
)
def test_a_start_under_way_ends_with_its_time_its_holder_or_the_warmth(
    warmth: Warmth, at: float, *, is_warm: bool, is_starting: bool
) -> None:
    assert (warmth.is_warm(at), warmth.is_starting(at)) == (is_warm, is_starting)


def test_a_start_belongs_to_the_turn_that_began_it() -> None:
    assert STARTING.start_by("r1", NOW) == STARTING.warm_up
    assert STARTING.start_by("r2", NOW) is None
    assert STARTING.start_by("r1", NOW + 30) is None
    assert (Warmth().is_warmed_up_by(""), STARTING.is_warmed_up_by("r1")) == (False, True)


def test_another_turns_report_changes_nothing() -> None:
    diagnosis = Diagnosis(failure_class=FailureClass.BROKEN, delay_s=None, reason="status 500")
    for after in (
        STARTING.released(by="r2"),
        STARTING.sent(by="r2", now=NOW),
        STARTING.held(by="r2", now=NOW, held_until=None),
        STARTING.failed(diagnosis, by="r2", now=NOW),
    ):
        assert after == STARTING


def test_a_warm_up_that_was_not_sent_starts_nothing_and_one_that_was_sent_late_lasts_as_long() -> None:
    released = STARTING.released(by="r1")
    assert (released.warm_up, released.started_at) == (None, None)
    sent = STARTING.sent(by="r1", now=NOW).warm_up
    assert sent is not None
    assert (sent.since, sent.cold_at, sent.until) == (NOW, NOW, NOW + 35)


def test_warmth_is_never_shortened_by_a_late_report_and_ends_when_the_product_lets_go() -> None:
    warm = replace(STARTING, failed_warm_up=FAILED).warm(NOW + 60)
    assert (warm.warm_until, warm.warm_up, warm.failed_warm_up) == (NOW + 60, None, None)
    assert warm.warm(NOW + 10).warm_until == NOW + 60
    assert (warm.let_go(NOW + 20).warm_until, warm.let_go(NOW + 90).warm_until) == (NOW + 20, NOW + 60)
    assert Warmth().let_go(NOW) == Warmth()


def test_a_stopped_backend_is_cold_and_keeps_what_was_learned_of_its_starts() -> None:
    further = (FurtherInstance(by="r2", since=NOW),)
    up = Warmth(warm_until=NOW + 9, idle_s=5.0, further=further, lost_warm_ups=2, started_at=NOW)
    assert up.stopped() == Warmth(lost_warm_ups=2, started_at=NOW)


def test_failures_in_a_row_are_counted() -> None:
    diagnosis = Diagnosis(failure_class=FailureClass.BROKEN, delay_s=None, reason="status 500")
    once = STARTING.failed(diagnosis, by="r1", now=NOW)
    twice = replace(once, warm_up=STARTING.warm_up).failed(diagnosis, by="r1", now=NOW)
    assert once.failed_warm_up is not None
    assert twice.failed_warm_up is not None
    assert (once.failed_warm_up.tries, twice.failed_warm_up.tries) == (1, 2)
    assert (once.warm_up, once.started_at) == (None, None)
    assert once.failed_warm_up.again_at < twice.failed_warm_up.again_at


def test_a_request_is_held_where_a_dropped_one_starts_nothing() -> None:
    drops = replace(GPU, cold_start=replace(GPU.cold_start, abandoned_starts=True))
    holds = replace(GPU, cold_start=replace(GPU.cold_start, abandoned_starts=False))
    lost = Warmth(lost_warm_ups=1)
    assert [Warmth().must_hold_request(each) for each in (drops, holds)] == [False, True]
    assert lost.must_hold_request(drops)
    assert not lost.must_hold_request(replace(holds, scaling=Scaling.COUNT))


def test_an_instance_is_claimed_until_its_count_is_set_or_its_process_is_lost() -> None:
    claim = Warmth(further=(FurtherInstance(by="r2", since=NOW),))
    assert claim.is_growing(NOW)
    assert not claim.is_growing(NOW + CLAIM_S)
    assert not Warmth(further=(FurtherInstance(by="r2", since=NOW, is_set=True),)).is_growing(NOW)


def test_the_idle_period_is_that_of_the_session_where_the_product_ends_it() -> None:
    assert Warmth().idle_period_s(GPU) == GPU.cold_start.idle_s
    assert Warmth(idle_s=0.0).idle_period_s(GPU) == 0.0


@pytest.mark.parametrize("warmth", [Warmth(), STARTING, held(NOW + 2, failed_warm_up=FAILED, idle_s=5.0)])
def test_warmth_is_read_as_it_was_written(warmth: Warmth) -> None:
    assert Warmth.from_document(through_json(warmth.to_document())) == warmth
