"""How does each kind of answer go on from each kind of open item?"""

import pytest

from domain.content.items import ItemKind, ItemStatus
from domain.content.tools import FunctionCall
from domain.log.answer_events import (
    call_events,
    ending_events,
    opening_events,
    reasoning_events,
    refusal_events,
    text_events,
)
from domain.log.events import EventKind, LogEvent
from domain.log.resume_text import TextDelta
from domain.log.transcript import Transcript, after_event
from tests.domain.log.transcripts import log_of

REASONED = (*opening_events(0, "r", ItemKind.REASONING), LogEvent(kind=EventKind.TEXT, output=0, text="hmm"))
SAID = (*opening_events(0, "m"), LogEvent(kind=EventKind.TEXT, output=0, text="one"))


def done(events: tuple[LogEvent, ...]) -> list[tuple[int, ItemStatus | None]]:
    return [(event.output, event.status) for event in events if event.kind is EventKind.ITEM_DONE]


def after(log: Transcript, events: tuple[LogEvent, ...]) -> list[tuple[str, str, ItemStatus]]:
    for event in events:
        log = after_event(log, event)
    return [(item.id, item.text, item.status) for item in log.items]


def test_text_completes_the_reasoning_before_it() -> None:
    events = text_events(log_of(*REASONED), TextDelta(text="so"), item_id="m")
    assert done(events) == [(0, ItemStatus.COMPLETED)]
    assert after(log_of(*REASONED), events) == [
        ("r", "hmm", ItemStatus.COMPLETED),
        ("m", "so", ItemStatus.IN_PROGRESS),
    ]


def test_text_that_starts_anew_leaves_the_reasoning_incomplete() -> None:
    events = text_events(log_of(*REASONED), TextDelta(text="so", starts_new_item=True), item_id="m")
    assert done(events) == [(0, ItemStatus.INCOMPLETE)]


def test_text_after_a_refusal_leaves_the_refusal_incomplete() -> None:
    refused = log_of(*refusal_events(Transcript(), TextDelta(text="no"), item_id="m"))
    events = text_events(refused, TextDelta(text="yes"), item_id="n")
    assert done(events) == [(0, ItemStatus.INCOMPLETE)]


def test_reasoning_goes_on_in_its_item_unless_it_starts_anew() -> None:
    log = log_of(*REASONED)
    more = reasoning_events(log, TextDelta(text=" more"), item_id="s")
    assert more == (LogEvent(kind=EventKind.TEXT, output=0, text=" more"),)
    anew = reasoning_events(log, TextDelta(text="again", starts_new_item=True), item_id="s")
    assert after(log, anew) == [("r", "hmm", ItemStatus.INCOMPLETE), ("s", "again", ItemStatus.IN_PROGRESS)]
    first = reasoning_events(Transcript(), TextDelta(text="hmm"), item_id="r")
    assert after(Transcript(), first) == [("r", "hmm", ItemStatus.IN_PROGRESS)]
    assert reasoning_events(log, TextDelta(text=""), item_id="s") == ()


@pytest.mark.parametrize(
    ("before", "is_complete", "has_calls", "statuses"),
    [
        (SAID, True, False, [ItemStatus.COMPLETED]),
        (SAID, False, False, [ItemStatus.INCOMPLETE]),
        (REASONED, True, False, [ItemStatus.COMPLETED, ItemStatus.COMPLETED]),
        (REASONED, False, False, [ItemStatus.INCOMPLETE]),
        (REASONED, True, True, [ItemStatus.COMPLETED]),
        ((), True, False, [ItemStatus.COMPLETED]),
        ((), False, False, [ItemStatus.INCOMPLETE]),
        ((), True, True, []),
    ],
)
def test_an_answer_ends_with_its_items_closed_and_an_empty_message_where_it_has_none(
    before: tuple[LogEvent, ...], statuses: list[ItemStatus], *, is_complete: bool, has_calls: bool
) -> None:
    log = log_of(*before)
    events = ending_events(log, item_id="end", is_complete=is_complete, has_calls=has_calls)
    assert [status for _, _, status in after(log, events)] == statuses


def test_a_call_belongs_to_no_round_unless_the_server_runs_others_of_it() -> None:
    call = FunctionCall(name="look", arguments="{}")
    for number, events in (
        (0, call_events(0, call, item_id="c", call_id="call_1")),
        (2, call_events(0, call, item_id="c", call_id="call_1", number=2)),
    ):
        header = events[0].header
        assert header is not None
        assert (header.round, header.call_id) == (number, "call_1")
