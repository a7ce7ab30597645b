"""Which events write an answer that another turn has given into the log of a turn?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from domain.content.items import Item, ItemKind
from domain.content.tools import FunctionCall
from domain.ids import Prefix, member_id
from domain.log.answer_events import (
    call_events,
    opening_events,
    reasoning_events,
    refusal_events,
    text_events,
)
from domain.log.events import LogEvent
from domain.log.resume_text import TextDelta
from domain.log.transcript import Transcript, after_event, closing_events, kept_items

PREFIXES: Final[Mapping[ItemKind, Prefix]] = {
    ItemKind.MESSAGE: "msg",
    ItemKind.REASONING: "rs",
    ItemKind.FUNCTION_CALL: "fc",
}


def copied_events(
    first: Transcript, log: Transcript, *, thread: str, new_token: Callable[[], str]
) -> tuple[LogEvent, ...]:
    """Return the events that add the answer of `first` to a log that has none, with ids of the own thread.

    The lists of servers' tools are no part of the answer. `new_token` returns 24 hexadecimal digits.
    """
    events: list[LogEvent] = []
    for item in kept_items(first):
        if prefix := PREFIXES.get(item.kind):
            item_id = member_id(prefix, thread=thread, token=new_token())
            added = answer_events(log, item, first, item_id)
            opened = after_events(log, added)
            closed = closing_events(opened, item.status)
            log = after_events(opened, closed)
            events += (*added, *closed)
    return tuple(events)


def answer_events(log: Transcript, item: Item, first: Transcript, item_id: str) -> tuple[LogEvent, ...]:
    """Return the events that open an item and write its content; a call is also closed."""
    delta = TextDelta(text=item.text, logprobs=first.logprobs.get(item.id, ()))
    if item.kind is ItemKind.FUNCTION_CALL:
        call = FunctionCall(
            name=item.name,
            arguments=item.text,
            call_id=item.call_id,
            namespace=item.namespace,
            is_custom=item.is_custom,
        )
        return call_events(len(log.items), call, item_id=item_id, call_id=item.call_id)
    if item.kind is ItemKind.REASONING:
        return reasoning_events(log, delta, item_id=item_id)
    return message_events(log, item, delta, item_id)


def message_events(log: Transcript, item: Item, delta: TextDelta, item_id: str) -> tuple[LogEvent, ...]:
    if not (item.text or item.refusal):
        return opening_events(len(log.items), item_id)
    text = text_events(log, delta, item_id=item_id)
    return (*text, *refusal_events(after_events(log, text), TextDelta(text=item.refusal), item_id=item_id))


def after_events(log: Transcript, events: Sequence[LogEvent]) -> Transcript:
    for event in events:
        log = after_event(log, event)
    return log
