"""When is a GPU ended during a long call, and when is it started for the end of the call?"""

from copy import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.tools.pauses.durations import CallTimes
from domain.tools.pauses.pause_record import PauseRecord
from domain.tools.pauses.tool_pause import GpuDuringCall, tool_pause

seconds = st.floats(0, 4000)
dollars = st.decimals("0.00001", "0.01", places=5)
gpus = st.builds(GpuDuringCall, left_s=st.floats(0, 900), start_s=st.floats(1, 300), rate=dollars, time_value=dollars)


@st.composite
def call_times(draw: st.DrawFn) -> CallTimes:
    return CallTimes(*sorted((draw(seconds), draw(seconds), draw(seconds))))


@given(call_times(), gpus, seconds)
def test_a_longer_call_never_keeps_what_a_shorter_one_ends(times: CallTimes, gpu: GpuDuringCall, more: float) -> None:
    longer = CallTimes(*(each + more for each in times))
    assert tool_pause(longer, gpu).releases >= tool_pause(times, gpu).releases


@given(call_times(), gpus, dollars)
def test_a_dearer_gpu_saves_more_and_is_started_early_less_often(
    times: CallTimes, gpu: GpuDuringCall, more: Decimal
) -> None:
    dearer = GpuDuringCall(left_s=gpu.left_s, start_s=gpu.start_s, rate=gpu.rate + more, time_value=gpu.time_value)
    before, after = tool_pause(times, gpu), tool_pause(times, dearer)
    assert after.saved >= before.saved
    assert (after.starts_in_s is not None) <= (before.starts_in_s is not None)


@given(call_times(), gpus)
def test_a_start_comes_after_the_idle_period_and_ends_with_the_call(times: CallTimes, gpu: GpuDuringCall) -> None:
    decided = tool_pause(times, gpu)
    if decided.starts_in_s is not None:
        assert gpu.left_s < decided.starts_in_s <= times.middle_s
        assert decided.waiting >= decided.lateness


@given(call_times(), gpus, st.floats(0, 900))
def test_a_gpu_that_stays_up_saves_less_and_is_not_released_for_nothing(
    times: CallTimes, gpu: GpuDuringCall, stays_s: float
) -> None:
    staying = replace(gpu, stays_s=min(stays_s, gpu.left_s))
    ended, left = tool_pause(times, gpu), tool_pause(times, staying)
    assert left.saved <= ended.saved
    assert left.releases == (ended.releases and staying.stays_s < gpu.left_s)
    assert left.starts_in_s == ended.starts_in_s


def test_a_decision_reads_as_it_was_written() -> None:
    gpu = GpuDuringCall(left_s=90.0, stays_s=30.0, start_s=20.0, rate=Decimal("0.0004"), time_value=Decimal("0.01"))
    decided = tool_pause(CallTimes(1100, 1200, 1300), gpu)
    pause = PauseRecord(round=2, calls=("mcp_1", "mcp_2"), backend="gpu", at=1000.0, decided=decided)
    done = replace(pause, released_at=1001.0, started_at=2180.0)
    assert [PauseRecord.from_document(each.to_document()) for each in (pause, done)] == [pause, done]
    assert (pause.ends_at, done.ends_at, done.starts_at) == (None, 1031.0, 2180.0)


def test_what_is_not_up_is_not_ended_and_worthless_waiting_starts_nothing() -> None:
    gpu = GpuDuringCall(left_s=0.0, start_s=20.0, rate=Decimal("0.0004"), time_value=Decimal(0))
    decided = tool_pause(CallTimes(1100, 1200, 1300), gpu)
    assert (decided.releases, decided.starts_in_s) == (False, None)
