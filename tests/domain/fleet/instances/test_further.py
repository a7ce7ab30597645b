"""When is a further instance up, lost or idle?"""

from copy import replace

import pytest

from domain.fleet.instances.further import CLAIM_S, FurtherInstance, FurtherPause, used

CLAIM = FurtherInstance(by="turn", since=100.0)
SET = replace(CLAIM, is_set=True)


def test_a_claim_is_lost_when_its_process_did_not_set_the_count() -> None:
    assert (CLAIM.is_lost(100.0 + CLAIM_S - 1), CLAIM.is_lost(100.0 + CLAIM_S)) == (False, True)
    assert not SET.is_lost(1e9)


def test_an_instance_is_up_after_its_start() -> None:
    assert (SET.is_up(119.9, 20.0), SET.is_up(120.0, 20.0), CLAIM.is_up(1e9, 20.0)) == (False, True, False)


def test_it_is_idle_since_its_start_or_its_last_use() -> None:
    assert SET.idle_since(20.0) == 120.0
    assert replace(SET, used_at=150.0).idle_since(20.0) == 150.0
    assert replace(SET, used_at=110.0).idle_since(20.0) == 120.0


@pytest.mark.parametrize(
    ("needed", "used_at"),
    [(0, [0.0, 0.0, 300.0]), (1, [0.0, 0.0, 300.0]), (2, [200.0, 0.0, 300.0]), (4, [200.0, 200.0, 300.0])],
)
def test_only_the_instances_that_are_needed_are_used(needed: int, used_at: list[float]) -> None:
    three = (SET, SET, replace(SET, used_at=300.0))
    assert [each.used_at for each in used(three, needed=needed, now=200.0)] == used_at
    assert used((), needed=needed, now=200.0) == ()


def test_both_are_read_as_they_were_written() -> None:
    pause = FurtherPause(until=5.0, tries=2)
    assert FurtherInstance.from_document(SET.to_document()) == SET
    assert FurtherPause.from_document(pause.to_document()) == pause
