"""What do batches cost that wait for each other, on a sample of the benchmark's traces?"""

import pytest

from benches.batches.traces import measure_trace

LIMIT = 1.1


@pytest.mark.parametrize("has_api", [True, False])
def test_batches_cost_little_more_than_the_least_and_no_more_than_without_a_wait(*, has_api: bool) -> None:
    found = [measure_trace(seed, has_api=has_api) for seed in range(0, 20, 6)]
    assert sum(each.waits for each in found) <= LIMIT * sum(each.least for each in found)
    assert [each.waits / each.never_waits for each in found if each.waits > each.never_waits] == []
    assert min(each.waits / each.least for each in found) >= 1
