"""Does a fault of the shop apply to the requests it names, and no more often than it says?"""

import pytest

from standins.tools.faults import Faults


def test_a_fault_applies_to_the_paths_that_begin_with_its_own() -> None:
    faults = Faults()
    faults.set("/v1/refunds", {"status": 503})
    assert faults.of("/v1/refunds/7") == {"status": 503}
    assert faults.of("/v1/orders") == {}


@pytest.mark.parametrize(("times", "applied"), [(0, 0), (2, 2)])
def test_a_limited_fault_is_over_after_its_times(times: int, applied: int) -> None:
    faults = Faults()
    faults.set("/", {"status": 503, "times": times})
    assert sum(bool(faults.of("/v1/orders")) for _ in range(5)) == applied


def test_a_new_fault_of_a_path_replaces_the_old_one() -> None:
    faults = Faults()
    faults.set("/", {"status": 503})
    faults.set("/", {})
    assert faults.of("/v1/orders") == {}
