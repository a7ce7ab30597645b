"""What does the state of a log say of its rounds of calls, of an answer that reached its cap, and of its tokens?"""

from typing import Any

import pytest

from domain.content.items import ItemKind, ItemStatus
from domain.log.capped_answers import CappedAnswer
from domain.log.events import CALLS, AttemptOutcome, EventKind, LogEvent, Slot, TokenUsage
from domain.log.item_events import ItemHeader
from domain.log.token_logprobs import TokenLogprob, TokenOption
from domain.log.transcript import (
    Transcript,
    after_event,
    after_slot,
    items_of_rounds,
    kept_items,
    last_message_text,
    opens_answer,
)
from tests.domain.log.transcripts import log_of

CAP = CappedAnswer("main", 5)
USED = TokenUsage(input_tokens=10, output_tokens=7)
MORE = TokenUsage(input_tokens=30, output_tokens=20)


def outcome(result: str = "done", **changes: Any) -> AttemptOutcome:
    return AttemptOutcome(attempt=1, result=result, **changes)


def added(at: int, kind: ItemKind = ItemKind.MESSAGE) -> LogEvent:
    return LogEvent(kind=EventKind.ITEM_ADDED, output=at, header=ItemHeader(id=f"item{at}", kind=kind))


def text(at: int, words: str, **changes: Any) -> LogEvent:
    return LogEvent(kind=EventKind.TEXT, output=at, text=words, **changes)


def done(at: int, status: ItemStatus = ItemStatus.COMPLETED) -> LogEvent:
    return LogEvent(kind=EventKind.ITEM_DONE, output=at, status=status)


def after(log: Transcript, *events: LogEvent, **changes: Any) -> Transcript:
    slot = Slot(number=log.next_slot, writer="infer", first=log.next_sequence, at=1.0, events=events, **changes)
    return after_slot(log, slot)


def test_a_log_without_pieces_and_outcome_has_no_usage() -> None:
    assert Transcript().usage is None


def test_pieces_count_until_the_backend_reports_its_tokens() -> None:
    log = after(Transcript(), added(0), pieces=3)
    assert log.usage == TokenUsage(output_tokens=3)
    assert after(log, outcome=outcome(usage=USED)).usage == USED


def test_pieces_after_the_cap_add_to_the_tokens_until_then() -> None:
    log = after(after(Transcript(), added(0), pieces=9), outcome=outcome(usage=USED, capped=CAP))
    assert (log.capped, log.pieces, log.usage) == (USED, 0, USED)
    continued = after(log, text(0, "more"), pieces=4)
    assert continued.usage == TokenUsage(input_tokens=10, output_tokens=11)


def test_a_cap_without_a_count_keeps_the_pieces_and_the_tokens_before() -> None:
    log = after(after(Transcript(), added(0), pieces=9), outcome=outcome(capped=CAP))
    assert (log.capped, log.pieces) == (None, 9)
    known = after(after(Transcript(), added(0)), outcome=outcome(usage=USED, capped=CAP))
    again = after(known, pieces=2, outcome=outcome(capped=CAP))
    assert (again.capped, again.pieces) == (USED, 2)


def test_a_new_answer_counts_from_its_own_beginning() -> None:
    log = after(after(Transcript(), added(0), pieces=9), outcome=outcome(usage=USED, capped=CAP))
    log = after(log, text(0, "more"), pieces=4)
    renewed = after(log, done(0, ItemStatus.INCOMPLETE), added(1), pieces=2)
    assert (renewed.capped, renewed.pieces) == (None, 2)


def test_each_round_of_calls_counts_and_keeps_its_tokens() -> None:
    log = after(Transcript(), added(0), pieces=2)
    first = after(log, outcome=outcome(CALLS, usage=USED))
    assert (first.rounds, first.used, first.capped) == (1, USED, None)
    second = after(first, outcome=outcome(CALLS, usage=MORE))
    assert (second.rounds, second.used) == (2, MORE)
    ended = after(second, outcome=outcome(usage=USED))
    assert (ended.rounds, ended.used) == (2, MORE)
    assert after(ended, pieces=1).used == MORE


def test_a_round_of_calls_ends_a_capped_answer() -> None:
    log = after(after(Transcript(), added(0)), outcome=outcome(usage=USED, capped=CAP))
    assert after(log, outcome=outcome(CALLS, usage=MORE)).capped is None


def test_an_outcome_stays_known_after_later_slots() -> None:
    log = after(Transcript(), outcome=outcome(usage=USED))
    assert after(log, added(0)).outcome == outcome(usage=USED)


def test_a_text_changes_its_own_item_alone() -> None:
    log = log_of(added(0), added(1), added(2), text(0, "first"))
    assert [(item.id, item.text) for item in log.items] == [("item0", "first"), ("item1", ""), ("item2", "")]


def test_probabilities_are_kept_by_item_and_in_order() -> None:
    one, two = (TokenLogprob(chosen=TokenOption(word, -0.5, word.encode()), options=()) for word in ("a", "b"))
    log = log_of(added(0), text(0, "plain"))
    assert log.logprobs == {}
    log = after_event(after_event(log, text(0, "a", logprobs=(one,))), text(0, "b", logprobs=(two,)))
    assert log.logprobs == {"item0": (one, two)}


REASONING = added(0, ItemKind.REASONING)


@pytest.mark.parametrize(
    ("before", "events", "opens"),
    [
        ((), (), False),
        ((), (added(0),), True),
        ((), (REASONING,), True),
        ((added(0),), (text(0, "more"),), False),
        ((REASONING, done(0)), (added(1),), False),
        ((REASONING, done(0, ItemStatus.INCOMPLETE)), (added(1),), True),
        ((REASONING,), (done(0), added(1)), False),
        ((REASONING,), (done(0, ItemStatus.INCOMPLETE), added(1)), True),
        ((), (REASONING, done(0), added(1)), True),
        ((added(0),), (done(0), added(1)), True),
    ],
)
def test_an_answer_begins_with_an_item_that_does_not_follow_its_reasoning(
    before: tuple[LogEvent, ...], events: tuple[LogEvent, ...], *, opens: bool
) -> None:
    assert opens_answer(log_of(*before), events) is opens


def test_interrupted_reasoning_is_dropped_wherever_something_follows_it() -> None:
    cut = done(1, ItemStatus.INCOMPLETE)
    log = log_of(added(0), done(0), added(1, ItemKind.REASONING), cut, added(2), text(2, "kept"))
    assert [item.id for item in kept_items(log)] == ["item2"]
    assert [item.id for item in kept_items(log_of(REASONING, done(0, ItemStatus.INCOMPLETE)))] == ["item0"]


def test_a_round_ends_with_its_last_call() -> None:
    kinds = (ItemKind.MESSAGE, ItemKind.MCP_CALL, ItemKind.MCP_CALL, ItemKind.MESSAGE)
    log = log_of(*(added(at, kind) for at, kind in enumerate(kinds)))
    assert [item.id for item in items_of_rounds(log)] == ["item0", "item1", "item2"]
    assert items_of_rounds(log_of(added(0))) == ()


def test_the_text_before_calls_is_that_of_the_message_they_came_with() -> None:
    words = (added(0), text(0, "I look it up."), done(0))
    calls = (added(1, ItemKind.MCP_CALL), added(2, ItemKind.FUNCTION_CALL))
    assert last_message_text(log_of(*words, *calls)) == "I look it up."
    assert last_message_text(log_of(added(0, ItemKind.MCP_CALL))) == ""
