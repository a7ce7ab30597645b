"""When is an instance ended that the product counts?"""

from copy import replace

import pytest

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend, ColdStart
from domain.fleet.cold_start import WarmUp
from domain.fleet.instances.lease import GRACE_S, LATE_S, LOOK_S, CountLease, LeasePhase, due_at, kept_until, look_by
from domain.fleet.instances.scaling import CountLimits, InstanceControl, Scaling, ScheduleRow
from domain.fleet.load import Load, QueuePlace
from domain.fleet.state_updates import after_keeping, after_stop, after_warm_up
from tests.domain.fleets import GPU
from tests.fakes.worlds import backend

NOW = 1_800_000_000.0
COLD = ColdStart(scales_to_zero=True, p50_s=20, p99_s=60, idle_s=90)
LEASE = CountLease(by="resp", at=NOW - 100)
SERVICE = InstanceControl(service="projects/p/locations/l/services/s")
COUNTED = replace(backend("gpu"), price=GPU, cold_start=COLD, scaling=Scaling.COUNT, instances=SERVICE)
UP = replace(initial_state(COUNTED), warmth=replace(initial_state(COUNTED).warmth, warm_until=NOW + 30, idle_s=90.0))


def with_limits(minimum: int, maximum: int) -> Backend:
    row = ScheduleRow(days=frozenset(range(7)), limits=CountLimits(minimum=minimum, maximum=maximum))
    return replace(COUNTED, instances=replace(SERVICE, schedule=(row,)))


def running(state: BackendState) -> BackendState:
    return replace(state, load=Load(in_flight={"attempt": NOW + 60}))


def test_an_idle_instance_ends_when_its_idle_period_is_over() -> None:
    assert due_at(LEASE, COUNTED, UP, NOW) == NOW + 30


def test_a_running_attempt_keeps_it_up_whatever_the_schedule_says() -> None:
    assert due_at(LEASE, COUNTED, running(UP), NOW) == NOW + LOOK_S
    assert due_at(LEASE, with_limits(0, 0), running(UP), NOW) == NOW + LOOK_S


def test_turns_in_line_keep_up_an_instance_that_is_up() -> None:
    line = Load(queue_places={"other": QueuePlace(NOW - 5, NOW + 60)})
    waited_for = replace(UP, load=line)
    due = due_at(LEASE, COUNTED, waited_for, NOW)
    assert due == NOW + LOOK_S
    assert after_stop(waited_for, COUNTED, now=NOW, looked_at=NOW) is None
    almost_over = replace(waited_for, warmth=replace(UP.warmth, warm_until=NOW + 1))
    assert kept_until(COUNTED, almost_over, due, NOW) == due + LATE_S
    assert kept_until(COUNTED, waited_for, due, NOW) is None
    assert kept_until(COUNTED, replace(UP, warmth=almost_over.warmth), due, NOW) is None


def test_a_look_soon_after_another_keeps_up_no_longer_what_turns_wait_for() -> None:
    """Each write wakes the look at the lease: a write at each look would be one without an end."""
    kept = replace(UP, warmth=replace(UP.warmth, warm_until=NOW + LOOK_S + LATE_S))
    waited_for = replace(kept, load=Load(queue_places={"other": QueuePlace(NOW - 5, NOW + 60)}))
    for later_s in (0.01, 0.5):
        assert kept_until(COUNTED, waited_for, NOW + later_s + LOOK_S, NOW + later_s) is None
    assert kept_until(COUNTED, waited_for, NOW + 2 * LOOK_S, NOW + LOOK_S) == NOW + 2 * LOOK_S + LATE_S


def test_turns_in_line_keep_up_nothing_that_is_cold() -> None:
    line = Load(queue_places={"other": QueuePlace(NOW - 5, NOW + 60)})
    cold = replace(UP, warmth=replace(UP.warmth, warm_until=NOW - 1), load=line)
    assert due_at(LEASE, COUNTED, cold, NOW) <= NOW
    assert kept_until(COUNTED, cold, NOW, NOW) is None


def test_a_start_is_looked_at_often_because_another_process_may_see_its_end() -> None:
    start = WarmUp(by="resp", since=NOW - 50, until=NOW + 400, cold_at=NOW - 1)
    starting = replace(UP, warmth=replace(UP.warmth, warm_until=None, warm_up=start))
    assert look_by(starting, NOW) == NOW + LOOK_S
    assert look_by(UP, NOW) > NOW + 1000


def test_an_attempt_that_outlasts_the_idle_period_shows_that_the_backend_is_up() -> None:
    over = replace(UP, warmth=replace(UP.warmth, warm_until=NOW - 1))
    assert not over.is_up(NOW)
    assert running(over).is_up(NOW)
    start = WarmUp(by="attempt", since=NOW - 5, until=NOW + 40, cold_at=NOW - 1)
    assert not running(replace(over, warmth=replace(over.warmth, warm_up=start))).is_up(NOW)
    assert not running(initial_state(COUNTED)).is_up(NOW)
    assert after_warm_up(running(over), COUNTED, by="other", now=NOW) is None


def test_a_start_ends_when_it_counts_as_lost() -> None:
    start = WarmUp(by="resp", since=NOW - 50, until=NOW + 40, cold_at=NOW - 1)
    starting = replace(UP, warmth=replace(UP.warmth, warm_until=None, warm_up=start))
    assert due_at(LEASE, COUNTED, starting, NOW) == NOW + 40
    assert due_at(LEASE, COUNTED, starting, NOW + 41) <= NOW + 41


def test_an_instance_of_which_nothing_is_known_ends_at_once_but_not_a_new_one() -> None:
    unknown = initial_state(COUNTED)
    assert due_at(LEASE, COUNTED, unknown, NOW) < NOW
    assert due_at(replace(LEASE, at=NOW - 1), COUNTED, unknown, NOW) == NOW - 1 + GRACE_S


def test_a_schedule_keeps_a_minimum_and_ends_what_it_does_not_allow() -> None:
    assert due_at(LEASE, with_limits(1, 1), UP, NOW) > NOW + 86_400
    assert due_at(LEASE, with_limits(0, 0), UP, NOW) == NOW


def test_turns_in_line_keep_up_nothing_that_a_schedule_does_not_allow() -> None:
    waited_for = replace(UP, load=Load(queue_places={"other": QueuePlace(NOW - 5, NOW + 60)}))
    closed = with_limits(0, 0)
    assert due_at(LEASE, closed, waited_for, NOW) == NOW
    stopped = after_stop(waited_for, closed, now=NOW, looked_at=NOW)
    assert stopped
    assert not stopped.is_up(NOW)
    assert after_stop(running(waited_for), closed, now=NOW, looked_at=NOW) is None


def test_an_end_that_has_begun_goes_on() -> None:
    assert due_at(LEASE.ending(), with_limits(1, 1), running(UP), NOW) == NOW


def test_an_end_is_recorded_only_while_nothing_runs() -> None:
    stopped = after_stop(UP, COUNTED, now=NOW, looked_at=NOW)
    assert stopped
    assert not stopped.warmth.is_warm(NOW)
    assert stopped.warmth.idle_s is None
    assert after_stop(running(UP), COUNTED, now=NOW, looked_at=NOW) is None


def test_an_end_yields_to_a_start_that_began_after_it_was_decided() -> None:
    start = WarmUp(by="resp", since=NOW, until=NOW + 40, cold_at=NOW)
    starting = replace(UP, warmth=replace(UP.warmth, warm_until=None, warm_up=start))
    assert after_stop(starting, COUNTED, now=NOW + 1, looked_at=NOW - 1) is None
    assert after_stop(starting, COUNTED, now=NOW + 2, looked_at=NOW + 1) is not None


def test_a_warm_up_keeps_the_idle_period_of_its_rule() -> None:
    effective = replace(COUNTED, cold_start=replace(COLD, idle_s=15))
    state = after_warm_up(initial_state(COUNTED), effective, by="resp", now=NOW)
    assert state
    assert state.warmth.idle_period_s(COUNTED) == 15
    assert BackendState.from_document(state.to_document()) == state
    assert not state.warmth.must_hold_request(COUNTED)


def test_only_an_instance_that_is_up_is_kept_up() -> None:
    assert after_keeping(UP, until=NOW + 500).warmth.warm_until == NOW + 500
    assert after_keeping(initial_state(COUNTED), until=NOW + 500).warmth.warm_until is None


@pytest.mark.parametrize("phase", list(LeasePhase))
def test_a_lease_is_read_as_it_was_written(phase: LeasePhase) -> None:
    lease = replace(LEASE, phase=phase, requested_at=NOW, tries=3, may_run=True)
    assert CountLease.from_document(lease.to_document()) == lease
