"""What is left of the record of a call when its turn is deleted, and when is a task looked at?"""

from copy import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content.items import ItemStatus
from domain.tools.call_record import LAST_LOOK_S, ORPHAN, STEP_LOOKS_S, CallOutcome, CallRecord, RemoteTask, orphaned

TASK = RemoteTask(id="t1", poll_s=5.0, since=100.0, until=100_000.0)
MINE, OTHER = f"resp_{'a' * 24}{'b' * 24}", f"resp_{'a' * 24}{'c' * 24}"
RECORD = CallRecord(
    response=MINE,
    item="mcp_1",
    server="shop",
    tool="find_order",
    arguments_hash="",
    starter=f"{MINE}/1",
    started_at=100.0,
    send_until=105.0,
    ends_by=135.0,
    task=TASK,
)
ENDED = CallOutcome(status=ItemStatus.COMPLETED, output="done")


@pytest.mark.parametrize(
    ("record", "is_left"),
    [
        (RECORD, True),
        (replace(RECORD, item="mcpr_1"), True),
        (replace(RECORD, item="mcpr_1", starter=f"{OTHER}/1"), False),
        (replace(RECORD, task=None), False),
        (replace(RECORD, outcome=ENDED, ended_at=101.0), False),
    ],
)
def test_only_a_task_that_the_deleted_turn_itself_follows_is_left_to_be_cancelled(
    record: CallRecord, *, is_left: bool
) -> None:
    left = orphaned(record.to_document())
    assert left == ({**record.to_document(), "kind": ORPHAN} if is_left else None)
    assert orphaned(left or {}) is None


@given(st.floats(0.0, 200_000.0), st.floats(0.0, 60.0))
def test_a_look_is_never_before_the_servers_interval_and_never_far_off(taken_s: float, poll_s: float) -> None:
    task = replace(TASK, poll_s=poll_s, until=1e9)
    now = task.since + taken_s
    for at, most_s in ((task.look_at(now), max(600.0, taken_s / 6)), (task.step_looks_at(now), taken_s / 5 + 0.5)):
        assert poll_s <= at - now + 1e-6
        assert at - now <= max(most_s, poll_s) + 1e-6
    assert task.look_at(now) - now <= max(taken_s / 2, poll_s, 0.5) + 1e-6


def test_a_look_is_at_the_end_of_a_task_at_the_latest() -> None:
    for at in (100.0, 100.0 + STEP_LOOKS_S, 99_999.0, 200_000.0):
        assert TASK.look_at(at) <= max(TASK.until, at)


@given(st.floats(30.0, 200_000.0), st.floats(0.0, 5.0))
def test_a_task_is_looked_at_shortly_before_its_server_may_forget_its_result(ttl_s: float, poll_s: float) -> None:
    """The look is a quarter later than it is due where it waits for those of other tasks."""
    task, now, earlier = RemoteTask(id="t", poll_s=poll_s, since=0.0, until=ttl_s), STEP_LOOKS_S, 0.0
    while now < ttl_s:
        now, earlier = now + 1.25 * (task.look_at(now) - now), now
    assert ttl_s - earlier <= max(LAST_LOOK_S, 2 * poll_s)
