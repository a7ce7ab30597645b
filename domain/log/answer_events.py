"""Which log events represent an answer: its reasoning, its text or refusal, and its calls of tools?"""

from domain.content.items import Item, ItemKind, ItemStatus
from domain.content.tools import FunctionCall
from domain.log.events import EventKind, LogEvent
from domain.log.item_events import ItemHeader, ItemResult
from domain.log.resume_text import TextDelta
from domain.log.token_logprobs import TokenLogprob
from domain.log.transcript import Transcript, closing_events, part_closing_events


def text_events(log: Transcript, delta: TextDelta, *, item_id: str) -> tuple[LogEvent, ...]:
    """Return the events that add a text to the open message, or to a new one with this id where none is open.

    A delta that starts a new item closes the open message as incomplete first. Open reasoning is complete then.
    """
    item = log.open_item
    is_open = item is not None and item.kind is ItemKind.MESSAGE and not item.refusal
    given_up = closing_events(log, ItemStatus.INCOMPLETE) if delta.starts_new_item else ()
    if not delta.text and not given_up:
        return ()
    index = len(log.items)
    if is_open and not given_up:
        return (LogEvent(kind=EventKind.TEXT, output=index - 1, text=delta.text, logprobs=delta.logprobs),)
    is_reasoning = item is not None and item.kind is ItemKind.REASONING
    closed = given_up or closing_events(log, ItemStatus.COMPLETED if is_reasoning else ItemStatus.INCOMPLETE)
    return (*closed, *opening_events(index, item_id), *text_event(index, delta.text, logprobs=delta.logprobs))


def reasoning_events(log: Transcript, delta: TextDelta, *, item_id: str) -> tuple[LogEvent, ...]:
    """Return the events that add a text to the open reasoning, or to a new item with this id where none is open.

    A delta that starts a new item closes the open reasoning as incomplete first.
    """
    given_up = closing_events(log, ItemStatus.INCOMPLETE) if delta.starts_new_item else ()
    if not delta.text:
        return given_up
    index = len(log.items)
    if log.open_item and not given_up:
        return (LogEvent(kind=EventKind.TEXT, output=index - 1, text=delta.text),)
    return (*given_up, *opening_events(index, item_id, ItemKind.REASONING), *text_event(index, delta.text))


def refusal_events(log: Transcript, delta: TextDelta, *, item_id: str) -> tuple[LogEvent, ...]:
    """Return the events that add a refusal to the open message, or to a new one with this id where none is open.

    The text of the message ends before its refusal. Open reasoning is complete then.
    """
    item, index = log.open_item, len(log.items)
    if item and item.refusal and not delta.starts_new_item:
        return text_event(index - 1, delta.text, is_refusal=True)
    if not delta.text:
        return closing_events(log, ItemStatus.INCOMPLETE) if delta.starts_new_item else ()
    if item and item.kind is ItemKind.MESSAGE and not item.refusal:
        return (*part_closing_events(index - 1), *refusal_opening_events(index - 1, delta.text))
    closed = closing_events(log, ItemStatus.INCOMPLETE if delta.starts_new_item else ItemStatus.COMPLETED)
    added = LogEvent(kind=EventKind.ITEM_ADDED, output=index, header=ItemHeader(id=item_id))
    return (*closed, added, *refusal_opening_events(index, delta.text))


def refusal_opening_events(index: int, text: str) -> tuple[LogEvent, ...]:
    opened = LogEvent(kind=EventKind.PART_ADDED, output=index, is_refusal=True)
    return (opened, *text_event(index, text, is_refusal=True))


def opening_events(index: int, item_id: str, kind: ItemKind = ItemKind.MESSAGE) -> tuple[LogEvent, ...]:
    return (
        LogEvent(kind=EventKind.ITEM_ADDED, output=index, header=ItemHeader(id=item_id, kind=kind)),
        LogEvent(kind=EventKind.PART_ADDED, output=index),
    )


def text_event(
    index: int, text: str, *, is_refusal: bool = False, logprobs: tuple[TokenLogprob, ...] = ()
) -> tuple[LogEvent, ...]:
    event = LogEvent(kind=EventKind.TEXT, output=index, text=text, is_refusal=is_refusal, logprobs=logprobs)
    return (event,) if text else ()


def ending_events(log: Transcript, *, item_id: str, is_complete: bool, has_calls: bool = False) -> tuple[LogEvent, ...]:
    """Return the events that close the answer.

    An answer without text becomes an empty message, except where it calls functions or was cut off in its reasoning.
    """
    status = ItemStatus.COMPLETED if is_complete else ItemStatus.INCOMPLETE
    item = log.open_item
    if has_calls or (item and (item.kind is ItemKind.MESSAGE or not is_complete)):
        return closing_events(log, status)
    index = len(log.items)
    done = LogEvent(kind=EventKind.ITEM_DONE, output=index, status=status)
    return (
        *closing_events(log, ItemStatus.COMPLETED),
        *opening_events(index, item_id),
        *part_closing_events(index),
        done,
    )


def call_events(index: int, call: FunctionCall, *, item_id: str, call_id: str, number: int = 0) -> tuple[LogEvent, ...]:
    """Return the events of a complete function call; `call_id` is used where the backend sent none.

    `number` is that of the round, where the server runs other calls of it.
    """
    header = ItemHeader(
        id=item_id,
        kind=ItemKind.FUNCTION_CALL,
        name=call.name,
        call_id=call.call_id or call_id,
        namespace=call.namespace,
        is_custom=call.is_custom,
        round=number,
    )
    return (
        LogEvent(kind=EventKind.ITEM_ADDED, output=index, header=header),
        LogEvent(kind=EventKind.ARGUMENTS, output=index, text=call.arguments),
        LogEvent(kind=EventKind.ARGUMENTS_DONE, output=index),
        LogEvent(kind=EventKind.ITEM_DONE, output=index, status=ItemStatus.COMPLETED),
    )


def server_call_events(
    index: int, call: FunctionCall, *, item_id: str, call_id: str, number: int, approval: str = ""
) -> tuple[LogEvent, ...]:
    """Return the events of a call that the server will run; `call_id` is ours, and unknown to the tool's server."""
    header = ItemHeader(
        id=item_id,
        kind=ItemKind.MCP_CALL,
        name=call.name,
        call_id=call_id,
        server=call.server,
        round=number,
        approval=approval,
    )
    return (
        LogEvent(kind=EventKind.ITEM_ADDED, output=index, header=header),
        LogEvent(kind=EventKind.CALL_STARTED, output=index),
        LogEvent(kind=EventKind.ARGUMENTS, output=index, text=call.arguments),
        LogEvent(kind=EventKind.ARGUMENTS_DONE, output=index),
    )


def search_events(index: int, call: FunctionCall, *, item_id: str, call_id: str, number: int) -> tuple[LogEvent, ...]:
    """Return the events of a search of private data that the server will run."""
    kind = ItemKind.FILE_SEARCH
    header = ItemHeader(id=item_id, kind=kind, name=call.name, call_id=call_id, server=call.server, round=number)
    return (
        LogEvent(kind=EventKind.ITEM_ADDED, output=index, header=header, text=call.arguments),
        LogEvent(kind=EventKind.CALL_STARTED, output=index),
        LogEvent(kind=EventKind.CALL_SEARCHING, output=index),
    )


def approval_request_events(
    index: int, call: FunctionCall, *, item_id: str, call_id: str, number: int
) -> tuple[LogEvent, ...]:
    """Return the events of a call that is not run before it is approved."""
    kind = ItemKind.APPROVAL_REQUEST
    header = ItemHeader(id=item_id, kind=kind, name=call.name, call_id=call_id, server=call.server, round=number)
    return (
        LogEvent(kind=EventKind.ITEM_ADDED, output=index, header=header, text=call.arguments),
        LogEvent(kind=EventKind.ITEM_DONE, output=index, status=ItemStatus.COMPLETED),
    )


def approval_answer_events(
    index: int, request: Item, *, approves: bool, reason: str, item_id: str
) -> tuple[LogEvent, ...]:
    """Return the events of the answer to a request, in a turn that has waited for it."""
    header = ItemHeader(
        id=item_id, kind=ItemKind.APPROVAL_RESPONSE, approval=request.id, approves=approves, round=request.round
    )
    return (
        LogEvent(kind=EventKind.ITEM_ADDED, output=index, header=header, text=reason),
        LogEvent(kind=EventKind.ITEM_DONE, output=index, status=ItemStatus.COMPLETED),
    )


def call_end_events(index: int, result: ItemResult, status: ItemStatus) -> tuple[LogEvent, ...]:
    """Return the events that end a call which the server ran."""
    return (
        LogEvent(kind=EventKind.CALL_ENDED, output=index, result=result),
        LogEvent(kind=EventKind.ITEM_DONE, output=index, status=status),
    )


def tool_list_events(index: int, server: str, result: ItemResult, *, item_id: str) -> tuple[LogEvent, ...]:
    """Return the events of the list of a server's tools; its `output` is the list as JSON."""
    header = ItemHeader(id=item_id, kind=ItemKind.MCP_TOOLS, server=server)
    return (
        LogEvent(kind=EventKind.ITEM_ADDED, output=index, header=header),
        LogEvent(kind=EventKind.CALL_STARTED, output=index),
        *call_end_events(index, result, ItemStatus.COMPLETED),
    )
