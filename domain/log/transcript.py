"""What does the log add up to so far?"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from domain.content.items import Item, ItemKind, ItemStatus
from domain.log.events import AttemptOutcome, Ending, EventKind, LogEvent, ResponseStatus, Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The fold of a log: every view of a response is made from it. `pieces` are of the last item alone."""

    status: ResponseStatus = ResponseStatus.QUEUED
    items: tuple[Item, ...] = ()
    ending: Ending | None = None
    next_slot: int = 0
    next_sequence: int = 0
    writer: str = ""
    fences: int = 0
    pieces: int = 0
    outcome: AttemptOutcome | None = None
    last_at: float = 0.0

    @property
    def open_item(self) -> Item | None:
        """The item that is still being written, if any: always the last."""
        last = self.items[-1] if self.items else None
        return last if last and last.status is ItemStatus.IN_PROGRESS else None


def after_event(transcript: Transcript, event: LogEvent) -> Transcript:
    """Add one event. Its number is counted; what it says is applied."""
    counted = replace(transcript, next_sequence=transcript.next_sequence + 1)
    match event.kind:
        case EventKind.STARTED:
            return replace(counted, status=ResponseStatus.IN_PROGRESS)
        case EventKind.ITEM_ADDED if event.head:
            return replace(counted, items=(*counted.items, opened(event)))
        case EventKind.TEXT | EventKind.ARGUMENTS:
            return with_last(counted, text=counted.items[-1].text + event.text)
        case EventKind.ITEM_DONE:
            return with_last(counted, status=event.status or ItemStatus.COMPLETED)
        case EventKind.ENDED if event.ending:
            return replace(counted, status=event.ending.status, ending=event.ending)
        case _:
            return counted


def opened(event: LogEvent) -> Item:
    head = event.head
    if head is None:
        raise ValueError("an item opens with a head")
    return Item(id=head.id, kind=head.kind, name=head.name, call_id=head.call_id, status=ItemStatus.IN_PROGRESS)


def with_last(transcript: Transcript, *, text: str | None = None, status: ItemStatus | None = None) -> Transcript:
    last = transcript.items[-1]
    changed = replace(last, text=last.text if text is None else text, status=status or last.status)
    return replace(transcript, items=(*transcript.items[:-1], changed))


def after_slot(transcript: Transcript, slot: Slot) -> Transcript:
    """Add a whole slot; raises ValueError where it does not follow."""
    if (slot.number, slot.first) != (transcript.next_slot, transcript.next_sequence):
        raise ValueError(f"slot {slot.number} does not follow slot {transcript.next_slot - 1}")
    for event in slot.events:
        transcript = after_event(transcript, event)
    return replace(
        transcript,
        next_slot=slot.number + 1,
        writer=slot.writer,
        fences=transcript.fences + (not slot.events and slot.outcome is None),
        pieces=slot.pieces + (0 if opens_item(slot.events) else transcript.pieces),
        outcome=slot.outcome or transcript.outcome,
        last_at=slot.at,
    )


def opens_item(events: Iterable[LogEvent]) -> bool:
    return any(event.kind is EventKind.ITEM_ADDED for event in events)


def read_log(slots: Iterable[Slot], start: Transcript | None = None) -> Transcript:
    """Fold slots, in order, onto `start` (default: the empty log)."""
    transcript = start or Transcript()
    for slot in slots:
        transcript = after_slot(transcript, slot)
    return transcript


def closing_events(transcript: Transcript, status: ItemStatus) -> tuple[LogEvent, ...]:
    """Return the events that close the item which is still open, if one is."""
    item = transcript.open_item
    if item is None:
        return ()
    index = len(transcript.items) - 1
    done = LogEvent(kind=EventKind.ITEM_DONE, output=index, status=status)
    if item.kind is ItemKind.FUNCTION_CALL:
        return (LogEvent(kind=EventKind.ARGUMENTS_DONE, output=index), done)
    return (LogEvent(kind=EventKind.TEXT_DONE, output=index), LogEvent(kind=EventKind.PART_DONE, output=index), done)


def kept_items(transcript: Transcript) -> tuple[Item, ...]:
    """Return the items that the conversation keeps: of several messages (an answer begun afresh), only the last."""
    messages = [item for item in transcript.items if item.kind is ItemKind.MESSAGE]
    dropped = {item.id for item in messages[:-1]}
    return tuple(item for item in transcript.items if item.id not in dropped)
