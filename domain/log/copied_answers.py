"""Which events write an answer that another turn gives into the log of a turn?

A log may show a part of an answer already, also that of a turn which did not end it. What the answer repeats stays;
where it differs, the shown item ends as incomplete and a new one follows, as after a failover.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from domain.content.items import Item, ItemKind, ItemStatus
from domain.content.tools import FunctionCall
from domain.ids import Prefix, member_id
from domain.log.answer_events import (
    call_events,
    opening_events,
    reasoning_events,
    refusal_events,
    text_events,
)
from domain.log.events import EventKind, LogEvent, ResponseStatus
from domain.log.resume_text import TextDelta
from domain.log.transcript import Transcript, after_event, closing_events, kept_items, opens_answer

PREFIXES: Final[Mapping[ItemKind, Prefix]] = {
    ItemKind.MESSAGE: "msg",
    ItemKind.REASONING: "rs",
    ItemKind.FUNCTION_CALL: "fc",
}


def copied_events(
    first: Transcript, log: Transcript, *, thread: str, new_token: Callable[[], str]
) -> tuple[LogEvent, ...]:
    """Return the events that complete a log with the whole answer of `first`, with ids of the own thread.

    The lists of servers' tools are no part of the answer. `new_token` returns 24 hexadecimal digits.
    """
    events: list[LogEvent] = []
    is_past_message = False
    for item in with_message(first, log):
        if is_past_message or not is_behind(log, item):
            item_id = member_id(PREFIXES[item.kind], thread=thread, token=new_token())
            added = added_events(log, item, first, item_id)
            opened = after_events(log, added)
            closed = closing_events(opened, item.status)
            log = after_events(opened, closed)
            events += (*added, *closed)
        is_past_message = is_past_message or item.kind is not ItemKind.REASONING
    return tuple(events)


def live_events(
    first: Transcript, log: Transcript, *, thread: str, new_token: Callable[[], str]
) -> tuple[LogEvent, ...]:
    """Return the events by which a log follows an answer that is being made: its reasoning and its message.

    The message stays open, and calls are not copied: the turn that makes the answer may still fail.
    """
    begins = log.status is ResponseStatus.QUEUED and first.status is not ResponseStatus.QUEUED
    events = [LogEvent(kind=EventKind.STARTED)] if begins else []
    log = after_events(log, events)
    for item in live_items(first):
        if not is_behind(log, item) and not is_ahead(log, item):
            item_id = member_id(PREFIXES[item.kind], thread=thread, token=new_token())
            added = added_events(log, item, first, item_id)
            log = after_events(log, added)
            events += added
    return tuple(events)


def copied_pieces(first: Transcript, log: Transcript, events: Sequence[LogEvent]) -> int:
    """Return how many pieces of a backend's answer these events of a log copy, by what both logs have counted."""
    capped = first.capped.output_tokens if first.capped else 0
    return max(0, capped + first.pieces - (0 if opens_answer(log, events) else log.pieces))


def copied_items(first: Transcript) -> Sequence[Item]:
    return last_reasoned([item for item in kept_items(first) if item.kind in PREFIXES])


def last_reasoned(items: Sequence[Item]) -> Sequence[Item]:
    """Return items without reasoning that other reasoning follows: its answer was given up for a better model's."""
    twice = [ItemKind.REASONING] * 2
    return [item for at, item in enumerate(items) if [each.kind for each in items[at : at + 2]] != twice]


def live_items(first: Transcript) -> Sequence[Item]:
    """Return the reasoning before the message of an answer that is being made, and the message."""
    items = last_reasoned([item for item in copied_items(first) if item.status is not ItemStatus.INCOMPLETE])
    kinds = [item.kind for item in items]
    end = kinds.index(ItemKind.MESSAGE) + 1 if ItemKind.MESSAGE in kinds else len(items)
    return [item for item in items[:end] if item.kind is not ItemKind.FUNCTION_CALL]


def with_message(first: Transcript, log: Transcript) -> Sequence[Item]:
    """Return the items of a whole answer. An empty message replaces the one that a log shows and the answer lacks."""
    items = copied_items(first)
    has_message = any(item.kind is ItemKind.MESSAGE for item in items)
    if has_message or not (log.open_item and log.open_item.kind is ItemKind.MESSAGE):
        return items
    reasoned = [item for item in items if item.kind is ItemKind.REASONING]
    empty = Item(id="", kind=ItemKind.MESSAGE, status=ItemStatus.COMPLETED, text="")
    return [*reasoned, empty, *items[len(reasoned) :]]


def is_behind(log: Transcript, item: Item) -> bool:
    """Tell whether a log has an open message already, and the item is reasoning before that."""
    return item.kind is ItemKind.REASONING and log.open_item is not None and log.open_item.kind is ItemKind.MESSAGE


def is_ahead(log: Transcript, item: Item) -> bool:
    """Tell whether a log shows all of an item and more of the same: the item may come to that."""
    own = log.open_item
    return own is not None and own.kind is item.kind and goes_on(item, own)


def goes_on(shown: Item, item: Item) -> bool:
    """Tell whether an item begins with everything that another one has shown."""
    if shown.refusal:
        return item.text == shown.text and item.refusal.startswith(shown.refusal)
    return item.text.startswith(shown.text)


def added_events(log: Transcript, item: Item, first: Transcript, item_id: str) -> tuple[LogEvent, ...]:
    """Return the events that write what an open item lacks of the answer's; else that end it and write a new item."""
    own = log.open_item
    if own and own.kind is item.kind and goes_on(own, item):
        return rest_events(log, own, item, first)
    is_reasoned = own is not None and own.kind is ItemKind.REASONING and item.kind is not ItemKind.REASONING
    ended = closing_events(log, ItemStatus.COMPLETED if is_reasoned else ItemStatus.INCOMPLETE)
    return (*ended, *answer_events(after_events(log, ended), item, first, item_id))


def rest_events(log: Transcript, own: Item, item: Item, first: Transcript) -> tuple[LogEvent, ...]:
    tokens = first.logprobs.get(item.id, ())[len(log.logprobs.get(own.id, ())) :]
    delta = TextDelta(text=item.text.removeprefix(own.text), logprobs=tokens)
    if item.kind is ItemKind.REASONING:
        return reasoning_events(log, delta, item_id=own.id)
    text = text_events(log, delta, item_id=own.id)
    refusal = TextDelta(text=item.refusal.removeprefix(own.refusal))
    return (*text, *refusal_events(after_events(log, text), refusal, item_id=own.id))


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
