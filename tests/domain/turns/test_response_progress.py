"""How long does a turn wait for approvals, and how much of its time is kept for the answer?"""

import pytest

from domain.turns.response_progress import MOST_ANSWER_S, ApprovalWait, ResponseProgress

NEW = ResponseProgress()


def test_a_wait_keeps_its_beginning_and_adds_up_with_earlier_ones() -> None:
    waiting = NEW.with_wait(100.0, until=150.0).with_wait(120.0, until=180.0)
    assert waiting.wait == ApprovalWait(100.0, 180.0)
    over = waiting.without_wait(130.0)
    assert (over.wait, over.waited_s) == (None, 30.0)
    assert over.without_wait(999.0) == over
    assert over.with_wait(200.0, until=300.0).without_wait(210.0).waited_s == 40.0
    assert over.with_wait(200.0, until=300.0).without_wait(190.0).waited_s == 30.0


def test_the_sweep_looks_at_a_turn_that_waits_after_its_wait() -> None:
    assert NEW.time_of_record(90.0) == {"at": 90.0}
    assert NEW.with_wait(100.0, until=150.0).time_of_record(90.0) == {"at": 150.0, "created_at": 90.0}


@pytest.mark.parametrize(("lasts_s", "answer_s"), [(100.0, 10.0), (600.0, 60.0), (6000.0, MOST_ANSWER_S)])
def test_a_tenth_of_the_time_up_to_a_minute_is_kept_for_the_answer(lasts_s: float, answer_s: float) -> None:
    assert NEW.answer_s(lasts_s) == pytest.approx(answer_s)
    waited = NEW.with_wait(0.0, until=9.0).without_wait(50.0)
    assert waited.answer_s(lasts_s + 50.0) == pytest.approx(answer_s)
