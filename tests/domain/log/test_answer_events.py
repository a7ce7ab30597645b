"""Do the events of an answer represent its text, in the order that the API specifies?"""

from hypothesis import given
from hypothesis import strategies as st

from domain.content.items import ItemStatus
from domain.log.answer_events import ending_events, text_events
from domain.log.events import EventKind, LogEvent
from domain.log.item_events import ItemHeader
from domain.log.resume_text import TextDelta
from domain.log.transcript import Transcript, after_event, kept_items

delta_lists = st.lists(st.builds(TextDelta, text=st.text("ab ", max_size=3), starts_new_item=st.booleans()), max_size=8)
OPENING = [EventKind.ITEM_ADDED, EventKind.PART_ADDED]
CLOSING = [EventKind.TEXT_DONE, EventKind.PART_DONE, EventKind.ITEM_DONE]


def with_events(log: Transcript, events: tuple[LogEvent, ...]) -> Transcript:
    for event in events:
        log = after_event(log, event)
    return log


def kinds(events: tuple[LogEvent, ...]) -> list[EventKind]:
    return [event.kind for event in events]


def written(deltas: list[TextDelta]) -> tuple[Transcript, tuple[LogEvent, ...]]:
    """Return the log after these deltas, and its events."""
    log, events = Transcript(), ()
    for number, delta in enumerate(deltas):
        new = text_events(log, delta, item_id=f"item{number}")
        log, events = with_events(log, new), (*events, *new)
    return log, events


def test_the_first_text_opens_an_item_and_the_next_adds_to_it() -> None:
    log, events = written([TextDelta(text="one"), TextDelta(text=" two")])
    assert kinds(events) == [*OPENING, EventKind.TEXT, EventKind.TEXT]
    assert events[0].header == ItemHeader(id="item0")
    assert [(item.id, item.text) for item in log.items] == [("item0", "one two")]


def test_an_empty_delta_causes_no_event() -> None:
    assert written([TextDelta(text="")])[1] == ()
    assert written([TextDelta(text="one"), TextDelta(text="")])[1] == written([TextDelta(text="one")])[1]


def test_a_delta_that_starts_a_new_item_closes_the_open_item_first() -> None:
    log, events = written([TextDelta(text="one"), TextDelta(text="uno", starts_new_item=True)])
    assert kinds(events) == [*OPENING, EventKind.TEXT, *CLOSING, *OPENING, EventKind.TEXT]
    assert [(item.text, item.status) for item in log.items] == [
        ("one", ItemStatus.INCOMPLETE),
        ("uno", ItemStatus.IN_PROGRESS),
    ]
    assert [event.output for event in events] == [0] * 6 + [1] * 3


def test_an_answer_without_any_text_is_an_empty_item() -> None:
    events = ending_events(Transcript(), item_id="item", is_complete=True)
    assert kinds(events) == [*OPENING, *CLOSING]
    (item,) = with_events(Transcript(), events).items
    assert (item.text, item.status) == ("", ItemStatus.COMPLETED)


@given(deltas=delta_lists, whole=st.booleans())
def test_an_answer_that_has_ended_is_its_last_item_and_nothing_is_left_open(
    deltas: list[TextDelta], *, whole: bool
) -> None:
    log, _ = written(deltas)
    ended = with_events(log, ending_events(log, item_id="end", is_complete=whole))
    assert ended.open_item is None
    assert all(item.status is ItemStatus.INCOMPLETE for item in ended.items[:-1])  # may be empty: one item
    (kept,) = kept_items(ended)
    assert kept.status is (ItemStatus.COMPLETED if whole else ItemStatus.INCOMPLETE)
    begun = next((at for at in reversed(range(len(deltas))) if deltas[at].starts_new_item and log.items), 0)
    assert "".join(delta.text for delta in deltas[begun:]).endswith(kept.text)


@given(delta_lists)
def test_every_item_is_opened_and_closed_before_the_next(deltas: list[TextDelta]) -> None:
    log, events = written(deltas)
    whole = (*events, *ending_events(log, item_id="end", is_complete=True))
    for index in range(max(event.output for event in whole) + 1):
        mine = [event.kind for event in whole if event.output == index]
        assert mine[:2] == OPENING
        assert mine[-3:] == CLOSING
        assert set(mine[2:-3]) <= {EventKind.TEXT}
    assert [event.output for event in whole] == sorted(event.output for event in whole)
