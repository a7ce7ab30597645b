"""Which log events represent an answer's text and function calls?"""

from domain.content.items import ItemKind, ItemStatus
from domain.content.tools import FunctionCall
from domain.log.events import EventKind, ItemHeader, LogEvent
from domain.log.resume_text import TextDelta
from domain.log.transcript import Transcript, closing_events


def text_events(log: Transcript, delta: TextDelta, *, item_id: str) -> tuple[LogEvent, ...]:
    """Return the events that add a text to the open item, or to a new item with this id where no item is open.

    A delta that starts a new item closes the open item as incomplete first.
    """
    given_up = closing_events(log, ItemStatus.INCOMPLETE) if delta.starts_new_item else ()
    if not delta.text and not given_up:
        return ()
    index = len(log.items)
    if log.open_item and not given_up:
        return (LogEvent(kind=EventKind.TEXT, output=index - 1, text=delta.text),)
    opening = opening_events(index, item_id)
    return (*given_up, *opening, *text_event(index, delta.text))


def opening_events(index: int, item_id: str) -> tuple[LogEvent, ...]:
    return (
        LogEvent(kind=EventKind.ITEM_ADDED, output=index, header=ItemHeader(id=item_id)),
        LogEvent(kind=EventKind.PART_ADDED, output=index),
    )


def text_event(index: int, text: str) -> tuple[LogEvent, ...]:
    return (LogEvent(kind=EventKind.TEXT, output=index, text=text),) if text else ()


def ending_events(log: Transcript, *, item_id: str, is_complete: bool) -> tuple[LogEvent, ...]:
    """Return the events that close the answer. An answer without text becomes an empty item."""
    status = ItemStatus.COMPLETED if is_complete else ItemStatus.INCOMPLETE
    if log.open_item:
        return closing_events(log, status)
    index = len(log.items)
    return (
        *opening_events(index, item_id),
        LogEvent(kind=EventKind.TEXT_DONE, output=index),
        LogEvent(kind=EventKind.PART_DONE, output=index),
        LogEvent(kind=EventKind.ITEM_DONE, output=index, status=status),
    )


def call_events(index: int, call: FunctionCall, *, item_id: str, call_id: str) -> tuple[LogEvent, ...]:
    """Return the events of a complete function call; `call_id` is used where the backend sent none."""
    header = ItemHeader(id=item_id, kind=ItemKind.FUNCTION_CALL, name=call.name, call_id=call.call_id or call_id)
    return (
        LogEvent(kind=EventKind.ITEM_ADDED, output=index, header=header),
        LogEvent(kind=EventKind.ARGUMENTS, output=index, text=call.arguments),
        LogEvent(kind=EventKind.ARGUMENTS_DONE, output=index),
        LogEvent(kind=EventKind.ITEM_DONE, output=index, status=ItemStatus.COMPLETED),
    )
