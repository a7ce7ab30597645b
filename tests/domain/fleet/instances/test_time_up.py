"""For how long is a backend up, under each way to scale?"""

from copy import replace

from domain.fleet.backend_state import initial_state
from domain.fleet.catalog import ColdStart
from domain.fleet.instances.lease import CountLease
from domain.fleet.instances.scaling import InstanceControl, Scaling
from domain.fleet.instances.time_up import TimeUp, time_up
from tests.domain.fleets import backend

NOW = 10_000.0
COLD = ColdStart(scales_to_zero=True, p50_s=20, p99_s=60, idle_s=90)
PROVIDER = backend("gpu", cold=COLD)
REQUESTS = replace(PROVIDER, scaling=Scaling.REQUESTS)
COUNTED = replace(
    PROVIDER, scaling=Scaling.COUNT, instances=InstanceControl(service="projects/p/locations/l/services/s")
)
ASLEEP = initial_state(PROVIDER)
UP = replace(ASLEEP, warmth=replace(ASLEEP.warmth, warm_until=NOW + 30))
LEASE = CountLease(by="resp", at=NOW - 5000)


def test_a_backend_that_sleeps_is_up_for_no_time() -> None:
    assert time_up(COUNTED, ASLEEP, LEASE, provider_end=NOW + 50, now=NOW) == TimeUp(0.0, 0.0)


def test_a_provider_ends_its_own_instance_whatever_the_product_does() -> None:
    assert time_up(PROVIDER, UP, LEASE, provider_end=None, now=NOW) == TimeUp(30.0, 30.0)
    assert time_up(COUNTED, UP, None, provider_end=None, now=NOW) == TimeUp(30.0, 30.0)


def test_a_counted_instance_ends_at_once() -> None:
    assert time_up(COUNTED, UP, LEASE, provider_end=NOW + 50, now=NOW) == TimeUp(30.0, 0.0)
    assert time_up(COUNTED, UP, LEASE.ending(), provider_end=None, now=NOW) == TimeUp(0.0, 0.0)


def test_one_that_requests_keep_alive_stays_for_the_rest_of_its_provider_s_period() -> None:
    assert time_up(REQUESTS, UP, LEASE, provider_end=None, now=NOW) == TimeUp(30.0, 0.0)
    assert time_up(REQUESTS, UP, LEASE, provider_end=NOW + 12, now=NOW) == TimeUp(30.0, 12.0)
    assert time_up(REQUESTS, UP, LEASE, provider_end=NOW + 50, now=NOW) == TimeUp(50.0, 50.0)
    assert time_up(REQUESTS, UP, LEASE, provider_end=NOW - 1, now=NOW) == TimeUp(30.0, 0.0)
