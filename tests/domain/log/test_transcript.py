"""Do the same events give the same transcript, however they are divided into slots?"""

from copy import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content.items import Item, ItemKind, ItemStatus
from domain.log.events import AttemptOutcome, Ending, EventKind, LogEvent, ResponseStatus, Slot
from domain.log.transcript import (
    Transcript,
    after_event,
    after_slot,
    closing_events,
    kept_items,
    opened_item,
    opens_item,
    read_log,
    whole_ending,
)
from tests.domain import logs
from tests.domain.logs import event_sequences, split, transcript_of

statuses = st.sampled_from([ItemStatus.COMPLETED, ItemStatus.INCOMPLETE])


@given(event_sequences(), st.data())
def test_the_same_events_in_any_slots_give_the_same_transcript(
    log_events: tuple[LogEvent, ...], data: st.DataObject
) -> None:
    whole, cut = transcript_of(log_events), read_log(data.draw(split(log_events)))
    assert (cut.status, cut.items, cut.ending, cut.next_sequence) == (
        whole.status,
        whole.items,
        whole.ending,
        len(log_events),
    )


@given(event_sequences(), st.data())
def test_a_log_may_be_read_in_two_parts(log_events: tuple[LogEvent, ...], data: st.DataObject) -> None:
    slots = data.draw(split(log_events))
    middle = data.draw(st.integers(0, len(slots)))
    assert read_log(slots[middle:], read_log(slots[:middle])) == read_log(slots)


@given(event_sequences(), st.data())
def test_a_transcript_counts_slots_and_the_pieces_of_its_last_item(
    log_events: tuple[LogEvent, ...], data: st.DataObject
) -> None:
    slots = data.draw(split(log_events))
    log = read_log(slots)
    opening = [number for number, slot in enumerate(slots) if opens_item(slot.events)]
    pieces = sum(slot.pieces for slot in slots[max(opening, default=0) :])
    assert (log.next_slot, log.pieces) == (len(slots), pieces)
    assert (log.writer, log.last_at) == (slots[-1].writer, slots[-1].at)


@given(event_sequences(), st.data())
def test_the_text_of_an_item_is_the_concatenation_of_its_deltas(
    log_events: tuple[LogEvent, ...], data: st.DataObject
) -> None:
    deltas = [""] * len(transcript_of(log_events).items)
    for event in log_events:
        if event.kind in (EventKind.TEXT, EventKind.ARGUMENTS):
            deltas[event.output] += event.text
    assert [item.text for item in read_log(data.draw(split(log_events))).items] == deltas


@given(event_sequences(), st.integers(-3, 3), st.integers(-3, 3))
def test_a_slot_out_of_order_is_rejected(log_events: tuple[LogEvent, ...], number: int, first: int) -> None:
    log = replace(transcript_of(log_events), next_slot=5)
    slot = Slot(number=5 + number, writer="w", first=log.next_sequence + first, at=0)
    if (number, first) == (0, 0):
        assert after_slot(log, slot).next_slot == 6
    else:
        with pytest.raises(ValueError, match="does not follow"):
            after_slot(log, slot)


@given(event_sequences(), statuses)
def test_closing_events_leave_no_item_open(log_events: tuple[LogEvent, ...], status: ItemStatus) -> None:
    log = transcript_of(log_events)
    closing = closing_events(log, status)
    closed = log
    for event in closing:
        assert event.output == len(log.items) - 1
        closed = after_event(closed, event)
    assert closed.open_item is None
    assert closing_events(closed, status) == ()
    assert closed.next_sequence == log.next_sequence + len(closing)
    assert closed.items[:-1] == log.items[:-1]
    assert closed.items[-1:] == ((replace(log.open_item, status=status),) if log.open_item else log.items[-1:])


@given(event_sequences())
def test_the_events_that_close_an_item_mirror_those_that_open_it(log_events: tuple[LogEvent, ...]) -> None:
    item = transcript_of(log_events).open_item
    if item:
        kinds = [event.kind for event in closing_events(transcript_of(log_events), ItemStatus.COMPLETED)]
        call = [EventKind.ARGUMENTS_DONE, EventKind.ITEM_DONE]
        message = [EventKind.TEXT_DONE, EventKind.PART_DONE, EventKind.ITEM_DONE]
        assert kinds == (call if item.kind is ItemKind.FUNCTION_CALL else message)


@given(event_sequences(ended=True))
def test_a_log_that_ended_has_its_endings_status_and_nothing_open(log_events: tuple[LogEvent, ...]) -> None:
    log = transcript_of(log_events)
    assert log.ending == log_events[-1].ending
    assert log.ending is not None
    assert log.status is log.ending.status
    assert log.open_item is None


@given(event_sequences(ended=False))
def test_a_log_without_an_ending_is_in_progress(log_events: tuple[LogEvent, ...]) -> None:
    assert (transcript_of(log_events).status, transcript_of(log_events).ending) == (ResponseStatus.IN_PROGRESS, None)
    assert transcript_of(log_events[:2]).status is ResponseStatus.QUEUED


@given(event_sequences())
def test_of_several_messages_only_the_last_is_kept(log_events: tuple[LogEvent, ...]) -> None:
    log = transcript_of(log_events)
    kept = kept_items(log)
    messages = [item for item in log.items if item.kind is ItemKind.MESSAGE]
    others = [item for item in log.items if item.kind is not ItemKind.MESSAGE]
    assert [item for item in kept if item.kind is ItemKind.MESSAGE] == messages[-1:]
    assert [item for item in kept if item.kind is not ItemKind.MESSAGE] == others
    assert list(kept) == [item for item in log.items if item in kept]
    assert kept_items(replace(log, items=kept)) == kept


@given(st.lists(st.none() | logs.outcomes, min_size=1, max_size=5))
def test_a_transcript_keeps_the_last_outcome(outcomes: list[AttemptOutcome | None]) -> None:
    slots = [Slot(number=n, writer="w", first=0, at=0, outcome=outcome) for n, outcome in enumerate(outcomes)]
    given_outcomes = [outcome for outcome in outcomes if outcome]
    log = read_log(slots)
    assert log.outcome == (given_outcomes[-1] if given_outcomes else None)


@given(st.lists(logs.slots, max_size=3))
def test_slots_that_do_not_start_at_the_beginning_are_rejected(slots: list[Slot]) -> None:
    if slots and (slots[0].number, slots[0].first) != (0, 0):
        with pytest.raises(ValueError, match="does not follow slot -1"):
            read_log(slots)


def test_an_empty_log_gives_an_empty_transcript() -> None:
    assert read_log([]) == Transcript()
    assert Transcript().open_item is None
    assert kept_items(Transcript()) == ()


@given(logs.heads)
def test_an_opened_item_has_the_fields_of_its_header(head: logs.ItemHeader) -> None:
    item = opened_item(LogEvent(kind=EventKind.ITEM_ADDED, header=head))
    assert item == Item(id=head.id, kind=head.kind, name=head.name, call_id=head.call_id, status=ItemStatus.IN_PROGRESS)


def test_an_item_needs_a_header() -> None:
    with pytest.raises(ValueError, match="needs a header"):
        opened_item(LogEvent(kind=EventKind.ITEM_ADDED))


@pytest.mark.parametrize(("text", "status"), [("Half", ResponseStatus.FAILED), ("", ResponseStatus.COMPLETED)])
def test_a_text_that_was_handed_over_in_vain_fails_with_a_message(text: str, status: ResponseStatus) -> None:
    message = Item(id="msg_1", text=text, status=ItemStatus.IN_PROGRESS)
    log = Transcript(items=(message,), outcome=AttemptOutcome(attempt=2, result="handover"))
    ending = whole_ending(log, Ending(status=ResponseStatus.COMPLETED, at=1.0))
    assert (ending.status, bool(ending.message)) == (status, bool(text))
