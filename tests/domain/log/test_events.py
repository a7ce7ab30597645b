"""Does the log survive being stored, and do its numbers follow?"""

import json

import pytest
from hypothesis import given

from domain.content.items import ItemKind, ItemStatus
from domain.log.events import AttemptOutcome, Ending, EventKind, LogEvent, ResponseStatus, Slot, TokenUsage
from domain.log.item_events import ItemHeader
from tests.domain import logs
from tests.domain.logs import through_json


@given(logs.usages)
def test_usage_is_read_as_it_was_written(usage: TokenUsage) -> None:
    assert TokenUsage.from_document(through_json(usage.to_document())) == usage


@given(logs.endings)
def test_an_ending_is_read_as_it_was_written(ending: Ending) -> None:
    assert Ending.from_document(through_json(ending.to_document())) == ending


@given(logs.events)
def test_an_event_is_read_as_it_was_written(event: LogEvent) -> None:
    assert LogEvent.from_document(through_json(event.to_document())) == event


@given(logs.outcomes)
def test_an_outcome_is_read_as_it_was_written(outcome: AttemptOutcome) -> None:
    assert AttemptOutcome.from_document(through_json(outcome.to_document())) == outcome


@given(logs.slots)
def test_a_slot_is_read_as_it_was_written(slot: Slot) -> None:
    assert Slot.from_document(through_json(slot.to_document())) == slot


@given(logs.slots)
def test_a_slot_says_where_the_next_begins(slot: Slot) -> None:
    assert slot.next_sequence - slot.first == len(slot.events)


def test_a_delta_is_stored_in_few_bytes() -> None:
    event = LogEvent(kind=EventKind.TEXT, output=1, text="word")
    assert json.dumps(event.to_document(), separators=(",", ":")) == '{"e":"text","i":1,"t":"word"}'


def test_a_slot_is_stored_under_names_that_stay() -> None:
    ending = Ending(
        status=ResponseStatus.FAILED, at=3.5, code="server_error", message="no", usage=TokenUsage(input_tokens=1)
    )
    events = (
        LogEvent(
            kind=EventKind.ITEM_ADDED, header=ItemHeader(id="fc_1", kind=ItemKind.FUNCTION_CALL, name="f", call_id="c")
        ),
        LogEvent(kind=EventKind.ITEM_DONE, status=ItemStatus.INCOMPLETE),
        LogEvent(kind=EventKind.ENDED, ending=ending),
    )
    slot = Slot(number=2, writer="w", first=7, at=1.5, events=events, pieces=1)
    assert slot.to_document() == {
        "kind": "slot",
        "v": 1,
        "n": 2,
        "writer": "w",
        "first": 7,
        "at": 1.5,
        "pieces": 1,
        "events": [
            {"e": "item_added", "h": ["fc_1", "function_call", "f", "c"]},
            {"e": "item_done", "s": "incomplete"},
            {
                "e": "ended",
                "end": {
                    "status": "failed",
                    "at": 3.5,
                    "code": "server_error",
                    "message": "no",
                    "usage": {"input": 1, "cached": 0, "output": 0, "reasoning": 0},
                },
            },
        ],
    }


@pytest.mark.parametrize(
    ("status", "terminal"),
    [
        (ResponseStatus.QUEUED, False),
        (ResponseStatus.IN_PROGRESS, False),
        (ResponseStatus.COMPLETED, True),
        (ResponseStatus.INCOMPLETE, True),
        (ResponseStatus.FAILED, True),
        (ResponseStatus.CANCELLED, True),
    ],
)
def test_the_last_four_of_a_lifes_statuses_are_terminal(status: ResponseStatus, *, terminal: bool) -> None:
    assert status.is_terminal is terminal
