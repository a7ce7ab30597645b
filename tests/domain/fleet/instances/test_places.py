"""How many turns have room while instances start, and when is there more?"""

import math
from copy import replace

from domain.fleet.instances.further import CLAIM_S, FurtherInstance
from domain.fleet.instances.inferred import INFERRED
from domain.fleet.instances.places import LEAD_S, instances_up, is_growing, longest_start_s, next_instance_s, places
from domain.fleet.instances.scaling import Scaling
from domain.fleet.instances.several import (
    with_further,
)
from domain.fleet.state_updates import after_use
from tests.domain.fleet.instances.test_lease import NOW, UP
from tests.domain.fleet.instances.test_several import ROOM, START_S, THREE, WARM_UP, further, running


def test_a_service_holds_all_requests_while_its_first_instances_start() -> None:
    starting = replace(UP, warmth=replace(UP.warmth, warm_until=None, warm_up=WARM_UP))
    two = with_further(starting, further(1).warmth.further)
    assert (is_growing(THREE, starting, NOW), is_growing(THREE, two, NOW)) == (False, True)
    assert places(THREE, two, NOW) == 2 * ROOM
    assert longest_start_s(THREE, two, NOW) == START_S - 1
    assert longest_start_s(THREE, two, NOW + START_S) == 0
    assert longest_start_s(THREE, starting, NOW) == 0


def test_an_instance_gets_requests_shortly_before_half_of_all_starts_have_ended() -> None:
    soon_s = UP.start_times.p50_s - LEAD_S
    state = further(soon_s, soon_s - 5)
    assert (instances_up(THREE, state, NOW), places(THREE, state, NOW)) == (2, 2 * ROOM)
    assert next_instance_s(state, NOW) == 5
    assert places(THREE, state, NOW + 5) == 3 * ROOM
    assert next_instance_s(state, NOW + 5) == math.inf
    assert places(THREE, further(soon_s, is_set=False), NOW) == ROOM


def test_a_provider_has_the_places_of_what_runs_and_of_what_is_worth_its_price() -> None:
    grown, idle_s = replace(THREE, scaling=Scaling.PROVIDER, instances=None), THREE.cold_start.idle_s
    claimed = further(CLAIM_S - 1, is_set=False)
    assert [places(grown, claimed, NOW + after_s) for after_s in (0, 1)] == [2 * ROOM, ROOM]
    ends_s = UP.start_times.p50_s + idle_s
    assert [places(grown, further(age_s), NOW) for age_s in (0, ends_s - 1, ends_s)] == [2 * ROOM, 2 * ROOM, ROOM]
    used = further(ends_s, used_s=idle_s - 1)
    assert [places(grown, used, NOW + after_s) for after_s in (0, 1)] == [2 * ROOM, ROOM]
    assert [places(grown, running(UP, count), NOW) for count in (0, ROOM, ROOM + 1)] == [ROOM, ROOM, 2 * ROOM]


def test_a_provider_starts_one_more_when_it_sees_more_requests_than_the_others_have_places_for() -> None:
    grown = replace(THREE, scaling=Scaling.PROVIDER, instances=None)
    claimed = further(10, is_set=False)
    full, more = running(claimed, ROOM), running(claimed, ROOM + 1)
    assert after_use(claimed, full, grown, NOW).warmth.further == claimed.warmth.further
    begun = after_use(full, more, grown, NOW)
    assert begun.warmth.further == (FurtherInstance(by="turn 0", since=NOW, is_set=True, used_at=NOW),)
    seen = after_use(UP, running(UP, 2 * ROOM + 1), grown, NOW).warmth.further
    assert [(each.by, each.is_set) for each in seen] == [(INFERRED, True)] * 2
    later = NOW + UP.start_times.p50_s + grown.cold_start.idle_s
    assert after_use(begun, running(begun, 0), grown, later).warmth.further == ()
