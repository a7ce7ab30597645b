"""What is the state of a response after the events of its log so far?"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from domain.content.items import Item, ItemKind, ItemStatus
from domain.log.events import AttemptOutcome, Ending, EventKind, LogEvent, ResponseStatus, Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The state that results from a log. Every view of a response derives from it; `pieces` is of the last item."""

    status: ResponseStatus = ResponseStatus.QUEUED
    items: tuple[Item, ...] = ()
    ending: Ending | None = None
    next_slot: int = 0
    next_sequence: int = 0
    writer: str = ""
    pieces: int = 0
    outcome: AttemptOutcome | None = None
    last_at: float = 0.0

    @property
    def open_item(self) -> Item | None:
        """The item that is still being written, if any: always the last."""
        last = self.items[-1] if self.items else None
        return last if last and last.status is ItemStatus.IN_PROGRESS else None


def after_event(transcript: Transcript, event: LogEvent) -> Transcript:
    """Apply one event and count its sequence number."""
    counted = replace(transcript, next_sequence=transcript.next_sequence + 1)
    match event.kind:
        case EventKind.STARTED:
            return replace(counted, status=ResponseStatus.IN_PROGRESS)
        case EventKind.ITEM_ADDED if event.header:
            return replace(counted, items=(*counted.items, opened_item(event)))
        case EventKind.TEXT | EventKind.ARGUMENTS:
            return with_last_item(counted, text=counted.items[-1].text + event.text)
        case EventKind.ITEM_DONE:
            return with_last_item(counted, status=event.status or ItemStatus.COMPLETED)
        case EventKind.ENDED if event.ending:
            return replace(counted, status=event.ending.status, ending=event.ending)
        case _:
            return counted


def opened_item(event: LogEvent) -> Item:
    header = event.header
    if header is None:
        raise ValueError("an item_added event needs a header")
    return Item(id=header.id, kind=header.kind, name=header.name, call_id=header.call_id, status=ItemStatus.IN_PROGRESS)


def with_last_item(transcript: Transcript, *, text: str | None = None, status: ItemStatus | None = None) -> Transcript:
    last = transcript.items[-1]
    changed = replace(last, text=last.text if text is None else text, status=status or last.status)
    return replace(transcript, items=(*transcript.items[:-1], changed))


def after_slot(transcript: Transcript, slot: Slot) -> Transcript:
    """Apply a slot; raises ValueError where it does not follow the last slot."""
    if (slot.number, slot.first) != (transcript.next_slot, transcript.next_sequence):
        raise ValueError(f"slot {slot.number} does not follow slot {transcript.next_slot - 1}")
    for event in slot.events:
        transcript = after_event(transcript, event)
    return replace(
        transcript,
        next_slot=slot.number + 1,
        writer=slot.writer,
        pieces=slot.pieces + (0 if opens_item(slot.events) else transcript.pieces),
        outcome=slot.outcome or transcript.outcome,
        last_at=slot.at,
    )


def opens_item(events: Iterable[LogEvent]) -> bool:
    return any(event.kind is EventKind.ITEM_ADDED for event in events)


def read_log(slots: Iterable[Slot], start: Transcript | None = None) -> Transcript:
    """Apply slots in order to `start` (default: the empty log)."""
    transcript = start or Transcript()
    for slot in slots:
        transcript = after_slot(transcript, slot)
    return transcript


def closing_events(transcript: Transcript, status: ItemStatus) -> tuple[LogEvent, ...]:
    """Return the events that close the open item, if there is one."""
    item = transcript.open_item
    if item is None:
        return ()
    index = len(transcript.items) - 1
    done = LogEvent(kind=EventKind.ITEM_DONE, output=index, status=status)
    if item.kind is ItemKind.FUNCTION_CALL:
        return (LogEvent(kind=EventKind.ARGUMENTS_DONE, output=index), done)
    return (LogEvent(kind=EventKind.TEXT_DONE, output=index), LogEvent(kind=EventKind.PART_DONE, output=index), done)


def kept_items(transcript: Transcript) -> tuple[Item, ...]:
    """Return the items that the conversation keeps. Where an answer was restarted, only its last message is kept."""
    messages = [item for item in transcript.items if item.kind is ItemKind.MESSAGE]
    dropped = {item.id for item in messages[:-1]}
    return tuple(item for item in transcript.items if item.id not in dropped)
