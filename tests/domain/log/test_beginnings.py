"""What does a log begin with, and which id has a call of a function?"""

import pytest

from domain.content.tools import FunctionCall
from domain.log.answer_events import call_events
from domain.log.events import AttemptOutcome, EventKind, LogEvent, Slot, TokenUsage
from domain.log.transcript import Transcript, opens_item


def test_an_empty_log_has_counted_nothing() -> None:
    empty = Transcript()
    assert (empty.next_slot, empty.next_sequence, empty.pieces, empty.last_at) == (0, 0, 0, 0.0)
    usage = TokenUsage()
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (0, 0, 0)
    assert AttemptOutcome(attempt=1, result="done").delay_s == 0.0
    assert Slot(number=0, writer="w", first=0, at=1.0).pieces == 0


@pytest.mark.parametrize(
    ("kinds", "opens"),
    [
        ([], False),
        ([EventKind.ITEM_DONE], False),
        ([EventKind.ITEM_ADDED], True),
        ([EventKind.ITEM_DONE, EventKind.ITEM_ADDED, EventKind.TEXT], True),
    ],
)
def test_a_slot_opens_an_item_with_any_of_its_events(kinds: list[EventKind], opens: object) -> None:
    assert opens_item([LogEvent(kind=kind) for kind in kinds]) is opens


@pytest.mark.parametrize(("sent", "expected"), [("call_1", "call_1"), ("", "call_own")])
def test_a_call_keeps_the_id_of_its_backend(sent: str, expected: str) -> None:
    call = FunctionCall(name="f", arguments="{}", call_id=sent)
    header = call_events(0, call, item_id="fc_1", call_id="call_own")[0].header
    assert header is not None
    assert header.call_id == expected
