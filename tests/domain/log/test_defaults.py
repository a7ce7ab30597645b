"""Is what an event, an outcome or a log does not say nothing, also where an old document lacks a field?"""

import pytest

from domain.log.events import AttemptOutcome, EventKind, LogEvent, ResponseStatus, Slot, TokenUsage
from domain.log.transcript import Transcript

USAGE = {"input": 5, "cached": 1, "output": 3, "reasoning": 2}


def test_no_usage_is_no_token() -> None:
    assert TokenUsage() == TokenUsage(
        input_tokens=0, cached_tokens=0, output_tokens=0, reasoning_tokens=0, written_tokens=0
    )


def test_a_usage_without_written_tokens_has_none() -> None:
    assert TokenUsage.from_document(USAGE).written_tokens == 0
    assert TokenUsage.from_document(USAGE | {"written": 4}).written_tokens == 4
    assert TokenUsage.from_document(USAGE).to_document() == USAGE


def test_an_event_says_only_what_it_was_given() -> None:
    event = LogEvent(kind=EventKind.STARTED)
    assert event == LogEvent(kind=EventKind.STARTED, output=0, text="", is_refusal=False)
    assert event.to_document() == {"e": "started"}
    assert LogEvent.from_document({"e": "started"}) == event


def test_a_refusal_is_stored_as_one() -> None:
    event = LogEvent(kind=EventKind.TEXT, output=2, text="no", is_refusal=True)
    assert event.to_document() == {"e": "text", "refusal": True, "i": 2, "t": "no"}


def test_an_outcome_says_only_what_it_was_given() -> None:
    outcome = AttemptOutcome(attempt=1, result="done")
    assert outcome == AttemptOutcome(attempt=1, result="done", delay_s=0.0, hands_back=False)
    assert outcome.to_document() == {
        "counted": None,
        "posture": "",
        "attempt": 1,
        "result": "done",
        "code": "",
        "message": "",
        "delay_s": 0.0,
        "usage": None,
    }


def test_an_outcome_of_an_early_release_hands_nothing_back() -> None:
    body = {"attempt": 1, "result": "done", "code": "", "message": "", "delay_s": 0.0, "usage": None}
    assert AttemptOutcome.from_document(body) == AttemptOutcome(attempt=1, result="done", hands_back=False)


def test_a_slot_without_text_has_no_pieces() -> None:
    fence = Slot(number=3, writer="w", first=9, at=1.0)
    assert (fence.pieces, fence.next_sequence) == (0, 9)
    assert fence.to_document() == {
        "kind": "slot",
        "v": 1,
        "n": 3,
        "writer": "w",
        "first": 9,
        "at": 1.0,
        "pieces": 0,
        "events": [],
    }


def test_an_empty_log_begins_at_nothing() -> None:
    assert Transcript() == Transcript(next_slot=0, next_sequence=0, pieces=0, last_at=0.0, rounds=0)
    assert Transcript().usage is None
    assert Transcript().open_item is None


@pytest.mark.parametrize("status", ResponseStatus)
def test_a_response_has_ended_unless_it_waits_or_runs(status: ResponseStatus) -> None:
    assert status.is_terminal is (status.value not in {"queued", "in_progress"})
