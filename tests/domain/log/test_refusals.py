"""Which events do a refusal and reasoning cause, in each state of the answer before them?"""

import pytest

from domain.content.items import ItemKind, ItemStatus
from domain.log.answer_events import reasoning_events, refusal_events, text_events
from domain.log.events import EventKind, LogEvent
from domain.log.resume_text import TextDelta
from domain.log.transcript import Transcript, after_event

ADDED, PART, TEXT = EventKind.ITEM_ADDED, EventKind.PART_ADDED, EventKind.TEXT
DONE = [EventKind.TEXT_DONE, EventKind.PART_DONE]

type Shown = list[tuple[EventKind, int, bool]]


def after(log: Transcript, events: tuple[LogEvent, ...]) -> Transcript:
    for event in events:
        log = after_event(log, event)
    return log


def shown(events: tuple[LogEvent, ...]) -> Shown:
    return [(event.kind, event.output, event.is_refusal) for event in events]


def delta(text: str, *, starts: bool = False) -> TextDelta:
    return TextDelta(text=text, starts_new_item=starts)


FINISHED = after(Transcript(), text_events(Transcript(), delta("first"), item_id="m0"))
EMPTY = Transcript()
REASONING = after(EMPTY, reasoning_events(EMPTY, delta("hm"), item_id="r0"))
MESSAGE = after(REASONING, text_events(REASONING, delta("I "), item_id="m1"))
REFUSED = after(MESSAGE, refusal_events(MESSAGE, delta("I can't"), item_id="m1"))


def test_a_first_refusal_opens_a_message_with_a_refusal_part() -> None:
    events = refusal_events(EMPTY, delta("no"), item_id="m0")
    assert shown(events) == [(ADDED, 0, False), (PART, 0, True), (TEXT, 0, True)]
    [item] = after(EMPTY, events).items
    assert (item.id, item.kind, item.text, item.refusal) == ("m0", ItemKind.MESSAGE, "", "no")


def test_a_refusal_ends_the_text_of_the_open_message_and_stays_in_it() -> None:
    events = refusal_events(MESSAGE, delta("I can't"), item_id="m2")
    assert shown(events) == [*((kind, 1, False) for kind in DONE), (PART, 1, True), (TEXT, 1, True)]
    assert [(item.id, item.text, item.refusal) for item in after(MESSAGE, events).items[1:]] == [
        ("m1", "I ", "I can't")
    ]


def test_a_second_part_of_a_refusal_only_adds_to_it() -> None:
    events = refusal_events(REFUSED, delta(" help"), item_id="m2")
    assert shown(events) == [(TEXT, 1, True)]
    assert after(REFUSED, events).items[-1].refusal == "I can't help"


def test_a_refusal_after_reasoning_completes_the_reasoning() -> None:
    events = refusal_events(REASONING, delta("no"), item_id="m1")
    assert events[-3].output == events[-1].output == 1
    log = after(REASONING, events)
    assert [(item.kind, item.status) for item in log.items] == [
        (ItemKind.REASONING, ItemStatus.COMPLETED),
        (ItemKind.MESSAGE, ItemStatus.IN_PROGRESS),
    ]
    assert log.items[1].refusal == "no"


@pytest.mark.parametrize("log", [EMPTY, REASONING, MESSAGE], ids=["nothing", "reasoning", "a message"])
def test_an_empty_refusal_without_a_new_item_changes_nothing(log: Transcript) -> None:
    assert refusal_events(log, delta(""), item_id="m2") == ()


def test_an_empty_refusal_that_starts_a_new_item_ends_the_open_one_as_incomplete() -> None:
    log = after(MESSAGE, refusal_events(MESSAGE, delta("", starts=True), item_id="m2"))
    assert (log.open_item, log.items[-1].status) == (None, ItemStatus.INCOMPLETE)


def test_a_restarted_refusal_opens_another_message() -> None:
    log = after(REFUSED, refusal_events(REFUSED, delta("No.", starts=True), item_id="m2"))
    assert [(item.id, item.refusal, item.status) for item in log.items[1:]] == [
        ("m1", "I can't", ItemStatus.INCOMPLETE),
        ("m2", "No.", ItemStatus.IN_PROGRESS),
    ]


def test_reasoning_adds_to_the_open_reasoning_wherever_it_stands() -> None:
    """Its place is the last of all items, not the first."""
    closed = after(FINISHED, text_events(FINISHED, delta("", starts=True), item_id="m1"))
    second = after(closed, reasoning_events(closed, delta("hm"), item_id="r1"))
    events = reasoning_events(second, delta(", so"), item_id="r2")
    assert shown(events) == [(TEXT, 1, False)]
    assert after(second, events).items[1].text == "hm, so"
