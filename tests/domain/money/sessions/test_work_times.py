"""When did a GPU work during a session?"""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan
from domain.money.sessions.work_times import MAX_TIMES, joined, with_long_pauses, work_times
from tests.checks import every

SESSION = GpuSession(id="s", backend="gpu", price="p", started=100.0, cold_s=5.0, last_end=200.0, ready_at=110.0)
INTERVALS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 30)).map(lambda each: (each[0], each[0] + each[1])))


def span(began: float, ended: float | None, *, is_warm_up: bool = False) -> SessionSpan:
    return SessionSpan(
        record=f"r{began}", tenant="t", subject="s", response="q", began=began, ended=ended, is_warm_up=is_warm_up
    )


def test_requests_that_overlap_are_one_time_and_a_pause_is_none() -> None:
    spans = [span(120, 130), span(125, 140), span(150, 160)]
    assert work_times(SESSION, spans, 200.0) == ((120, 140), (150, 160))


def test_a_start_is_no_work_and_a_warm_up_runs_nothing() -> None:
    spans = [span(100, None, is_warm_up=True), span(101, 120), span(102, 105)]
    assert work_times(SESSION, spans, 200.0) == ((110, 120),)


def test_what_runs_works_until_now() -> None:
    assert work_times(SESSION, [span(120, 130), span(180, None)], 200.0) == ((120, 130), (180, 200))


@given(INTERVALS)
def test_joined_times_have_pauses_between_them_and_cover_the_same_seconds(times: list[tuple[float, float]]) -> None:
    found = joined(times)
    assert len(found) < 2 or every(before[1] < after[0] for before, after in pairwise(found))
    assert {at for began, ended in times for at in range(int(began), int(ended))} == {
        at for began, ended in found for at in range(int(began), int(ended))
    }


def test_of_many_pauses_the_longest_stay() -> None:
    times = [(10.0 * number, 10.0 * number + (2 if number == 7 else 9)) for number in range(300)]
    found = with_long_pauses(times)
    assert len(found) == MAX_TIMES
    assert (found[0][0], found[-1][1]) == (0.0, 2999.0)
    assert (72.0, 80.0) in {(before[1], after[0]) for before, after in pairwise(found)}
    assert with_long_pauses(times[:3]) == tuple(times[:3])
    assert with_long_pauses([]) == ()
