"""How many turns have room while instances start, and when is there more?"""

import math
from copy import replace

from domain.fleet.instances.places import LEAD_S, instances_up, is_growing, longest_start_s, next_instance_s, places
from domain.fleet.instances.scaling import Scaling
from domain.fleet.instances.several import (
    with_further,
)
from tests.domain.fleet.instances.test_lease import NOW, UP
from tests.domain.fleet.instances.test_several import ROOM, START_S, THREE, WARM_UP, further


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
    assert places(replace(THREE, scaling=Scaling.PROVIDER, instances=None), UP, NOW) == 3 * ROOM
