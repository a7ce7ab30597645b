"""When does a GPU that the product counts get one more instance, and when does the last one end?"""

import math
from copy import replace

import pytest

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.cold_start import WarmUp
from domain.fleet.instances.further import CLAIM_S, FurtherInstance, used
from domain.fleet.instances.lease import CountLease
from domain.fleet.instances.numbered import (
    backend_of,
    instance,
    instances_of,
    is_inferred,
    number_of,
    whole,
)
from domain.fleet.instances.scaling import Scaling
from domain.fleet.instances.several import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    after_claim,
    after_count,
    after_giving_up,
    after_last_end,
    after_refusal,
    last_due_at,
    look_s,
    with_further,
)
from domain.fleet.load import Load, QueuePlace
from domain.fleet.state_updates import after_use
from domain.fleet.warmth import Warmth
from tests.checks import every
from tests.domain.fleet.instances.test_lease import COUNTED, NOW, SERVICE, UP, with_limits

THREE = replace(COUNTED, max_instances=3, instances=replace(SERVICE, maximum=3))
ROOM = THREE.limits.concurrency
START_S = UP.start_times.p99_s
LEASE = CountLease(by="resp", at=NOW - 100, target=3)
WARM_UP = WarmUp(by="resp", since=NOW - 2, until=NOW + 500, cold_at=NOW - 2)


def further(*ages_s: float, used_s: float = 1e6, is_set: bool = True) -> BackendState:
    """Return a state with instances of these ages, the last of which was needed so many seconds ago."""
    made = tuple(
        FurtherInstance(by=f"turn {number}", since=NOW - age_s, is_set=is_set, used_at=NOW - used_s)
        for number, age_s in enumerate(ages_s)
    )
    return with_further(UP, made)


def running(state: BackendState, count: int) -> BackendState:
    return replace(state, load=Load(in_flight={f"attempt {number}": NOW + 60 for number in range(count)}))


def test_each_instance_has_a_name_and_the_first_one_that_of_its_backend() -> None:
    assert [each.name for each in instances_of(THREE)] == ["gpu", "gpu#1", "gpu#2"]
    assert [(backend_of(each.name), number_of(each.name)) for each in instances_of(THREE)] == [
        ("gpu", 0),
        ("gpu", 1),
        ("gpu", 2),
    ]
    assert [whole(each) for each in instances_of(THREE)] == [THREE] * 3
    assert instance(THREE, 0) == THREE
    assert not is_inferred(THREE)
    assert is_inferred(replace(THREE, scaling=Scaling.PROVIDER, instances=None))
    assert not is_inferred(replace(COUNTED, scaling=Scaling.PROVIDER, instances=None))


def test_only_one_turn_at_a_time_starts_one_more_instance() -> None:
    claimed = after_claim(UP, THREE, by="one", now=NOW)
    assert claimed
    assert after_claim(claimed, THREE, by="one", now=NOW) is None
    assert after_claim(claimed, THREE, by="two", now=NOW) is None
    started = after_count(claimed, by="one", now=NOW + 3)
    assert started.warmth.further == (FurtherInstance(by="one", since=NOW + 3, is_set=True),)
    assert after_claim(started, THREE, by="one", now=NOW + 4) is None
    both = after_claim(started, THREE, by="two", now=NOW + 4)
    assert both
    assert after_giving_up(both, by="two") == started
    assert after_giving_up(started, by="one") == started
    full = after_count(both, by="two", now=NOW + 5)
    assert after_claim(full, THREE, by="three", now=NOW + 9) is None


@pytest.mark.parametrize(
    "backend", [COUNTED, with_limits(0, 1), replace(COUNTED, scaling=Scaling.PROVIDER, instances=None)]
)
def test_no_more_instances_start_than_the_limits_allow(backend: Backend) -> None:
    assert after_claim(UP, backend, by="one", now=NOW) is None


def test_a_backend_that_is_cold_gets_no_further_instance() -> None:
    assert after_claim(replace(UP, warmth=Warmth()), THREE, by="one", now=NOW) is None


def test_one_turn_starts_as_many_as_are_needed_and_no_more_than_may_run() -> None:
    both = after_claim(UP, THREE, by="one", now=NOW, more=5)
    assert both
    assert [each.by for each in both.warmth.further] == ["one", "one"]
    assert every(each.is_set for each in after_count(both, by="one", now=NOW + 3).warmth.further)
    kept = after_giving_up(both, by="one", kept=1)
    assert kept.warmth.further == both.warmth.further[:1]
    assert after_giving_up(kept, by="one").warmth.further == ()


def test_after_refusals_no_more_is_asked_for_during_ever_longer_pauses() -> None:
    up = replace(UP, warmth=replace(UP.warmth, warm_until=NOW + 2 * LONGEST_PAUSE_S))
    once = after_refusal(up, now=NOW)
    assert after_claim(once, THREE, by="one", now=NOW + FIRST_PAUSE_S - 1) is None
    assert after_claim(once, THREE, by="one", now=NOW + FIRST_PAUSE_S)
    twice = after_refusal(once, now=NOW)
    assert after_claim(twice, THREE, by="one", now=NOW + FIRST_PAUSE_S) is None
    assert BackendState.from_document(twice.to_document()) == twice
    often = twice
    for _ in range(20):
        often = after_refusal(often, now=NOW)
    assert after_claim(often, THREE, by="one", now=NOW + LONGEST_PAUSE_S)
    assert after_count(often, by="one", now=NOW).warmth.further_pause is None
    assert "further_pause" not in UP.to_document()


def test_the_last_instance_ends_when_it_was_idle_for_the_idle_period() -> None:
    assert last_due_at(LEASE, THREE, UP, NOW) == math.inf
    assert last_due_at(LEASE, THREE, further(500, 500, used_s=10), NOW) == NOW - 10 + 90
    assert last_due_at(LEASE, THREE, further(500, START_S + 20), NOW) == NOW - 20 + 90
    ended = after_last_end(further(500, 500), LEASE, THREE, now=NOW)
    assert ended
    assert [each.by for each in ended.warmth.further] == ["turn 0"]
    assert after_last_end(further(500, 500, used_s=10), LEASE, THREE, now=NOW) is None


def test_it_stays_while_the_others_have_no_room_or_turns_are_in_line() -> None:
    idle = further(500, 500)
    assert last_due_at(LEASE, THREE, running(idle, 2 * ROOM + 1), NOW) == NOW + look_s(THREE, idle)
    assert last_due_at(LEASE, THREE, running(idle, 2 * ROOM), NOW) < NOW
    line = replace(idle, load=Load(queue_places={"other": QueuePlace(NOW - 5, NOW + 60)}))
    assert last_due_at(LEASE, THREE, line, NOW) == NOW + look_s(THREE, idle)


def test_it_stays_while_the_others_have_no_kv_memory_for_what_runs() -> None:
    small = replace(THREE, limits=replace(THREE.limits, kv_tokens=1600))
    idle = further(500, 500)
    for claim, needed in ((800, 1), (808, 2), (1608, 3)):
        load = Load(in_flight={"one": NOW + 60, "two": NOW + 60}, claims={"one": claim, "two": claim})
        busy = replace(idle, load=load)
        assert (last_due_at(LEASE, small, busy, NOW) > NOW) is (needed > 2), claim
        seen = after_use(busy, busy, small, NOW).warmth.further
        assert [each.used_at == NOW for each in seen] == [needed > 1, needed > 2], claim


def test_the_schedule_keeps_it_up_or_ends_it() -> None:
    kept, closed = with_limits(3, 3), with_limits(0, 2)
    assert kept.instances
    assert last_due_at(LEASE, kept, further(500, 500), NOW) == kept.instances.next_change(NOW)
    assert last_due_at(LEASE, closed, further(500, 500, used_s=0), NOW) == NOW
    assert last_due_at(LEASE, closed, running(further(500, 500), 2 * ROOM + 1), NOW) > NOW


def test_a_claim_whose_process_died_ends() -> None:
    claim = further(CLAIM_S - 1, is_set=False)
    assert last_due_at(LEASE, THREE, claim, NOW) == NOW + 1
    assert last_due_at(LEASE, THREE, claim, NOW + 1) == NOW + 1
    assert last_due_at(replace(LEASE, target=1), THREE, further(5), NOW) == NOW


def test_requests_use_only_the_instances_that_they_need() -> None:
    state = further(500, 500)
    both = used(state.warmth.further, needed=3, now=NOW)
    assert [each.used_at for each in both] == [NOW, NOW]
    one = used(state.warmth.further, needed=2, now=NOW)
    assert [each.used_at for each in one] == [NOW, NOW - 1e6]
    assert used(state.warmth.further, needed=1, now=NOW) == state.warmth.further


def test_instances_are_kept_in_documents_and_one_without_them_has_none() -> None:
    state = further(500, 20, used_s=7)
    assert BackendState.from_document(state.to_document()) == state
    assert "further" not in UP.to_document()
    assert CountLease.from_document(LEASE.to_document()) == LEASE
    assert "target" not in replace(LEASE, target=1).to_document()
