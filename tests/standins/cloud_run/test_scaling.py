"""Does the GPU service count instances by Cloud Run's rules?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standins.cloud_run.options import CloudRunOptions
from standins.cloud_run.scaling import needed_instances, to_start, to_withdraw


@pytest.mark.parametrize(
    ("waiting", "busy", "instances"),
    [(0, 0, 0), (1, 0, 1), (8, 0, 1), (9, 0, 2), (1, 8, 2), (50, 0, 3)],
)
def test_traffic_needs_instances_for_all_its_requests_up_to_the_maximum(
    waiting: int, busy: int, instances: int
) -> None:
    assert needed_instances(CloudRunOptions(concurrency=8, max_instances=3), waiting=waiting, busy=busy) == instances


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 5), st.integers(1, 10), st.integers(1, 5))
def test_no_instance_is_started_and_withdrawn_at_once(
    waiting: int, busy: int, alive: int, concurrency: int, most: int
) -> None:
    options = CloudRunOptions(concurrency=concurrency, max_instances=most, abandoned_starts=False)
    started = to_start(options, waiting=waiting, busy=busy, alive=alive)
    withdrawn = to_withdraw(options, waiting=waiting, busy=busy, alive=alive, starting=alive)
    assert not (started and withdrawn)
    assert alive + started <= max(most, alive)
    assert withdrawn <= alive


@given(st.integers(0, 100), st.integers(0, 5))
def test_a_start_that_continues_is_never_withdrawn(busy: int, alive: int) -> None:
    assert to_withdraw(CloudRunOptions(abandoned_starts=True), waiting=0, busy=busy, alive=alive, starting=alive) == 0
