"""How do tests generate logs, responses and ledger records?"""

import json
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from domain.content.items import Item, ItemKind, ItemStatus, Role
from domain.identity.owners import Owner
from domain.ids import member_id
from domain.log.events import AttemptOutcome, Ending, EventKind, LogEvent, ResponseStatus, Slot, TokenUsage
from domain.log.item_events import ItemHeader
from domain.log.transcript import Transcript, after_event, closing_events
from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.costing import BillLine
from domain.money.ledger_records import AttemptProgress, AttemptRecord, Reservation, ReservationStatus
from domain.money.overheads import OverheadCost
from domain.turns.response import Response, ResponseHistory, ResponseOptions, ResponseProgress, Sampling

tokens = st.text("0123456789abcdef", min_size=24, max_size=24)
texts = st.text(max_size=20)
numbers = st.integers(0, 2**53)
moments = st.floats(0, 1e10)
amounts = st.decimals(0, 9_000_000, allow_nan=False, allow_infinity=False, places=12)
nano_amounts = st.decimals(0, 9_000, allow_nan=False, allow_infinity=False, places=9)
terminal = st.sampled_from([status for status in ResponseStatus if status.is_terminal])
usages = st.builds(
    TokenUsage, input_tokens=numbers, cached_tokens=numbers, output_tokens=numbers, reasoning_tokens=numbers
)
endings = st.builds(Ending, status=terminal, at=moments, code=texts, message=texts, usage=st.none() | usages)
heads = st.builds(ItemHeader, id=texts, kind=st.sampled_from(ItemKind), name=texts, call_id=texts)
events = st.builds(
    LogEvent,
    kind=st.sampled_from(EventKind),
    output=numbers,
    text=texts,
    header=st.none() | heads,
    status=st.none() | st.sampled_from(ItemStatus),
    ending=st.none() | endings,
)
outcomes = st.builds(
    AttemptOutcome,
    attempt=numbers,
    result=texts,
    code=texts,
    message=texts,
    delay_s=moments,
    usage=st.none() | usages,
)
slots = st.builds(
    Slot,
    number=numbers,
    writer=texts,
    first=numbers,
    at=moments,
    events=st.lists(events, max_size=4).map(tuple),
    pieces=numbers,
    outcome=st.none() | outcomes,
)
items = st.builds(
    Item,
    id=texts,
    kind=st.sampled_from(ItemKind),
    role=st.sampled_from(Role),
    text=texts,
    status=st.sampled_from(ItemStatus),
    name=texts,
    call_id=texts,
    read=st.lists(texts, max_size=2).map(tuple),
)
response_ids = st.builds(member_id, st.just("resp"), thread=tokens, token=tokens)
responses = st.builds(
    Response,
    id=response_ids,
    owner=st.builds(Owner, tenant=texts, subject=texts),
    created_at=moments,
    deadline_at=moments,
    input_items=st.lists(texts, max_size=3).map(tuple),
    traceparent=texts,
    options=st.builds(
        ResponseOptions,
        model=texts,
        background=st.booleans(),
        store=st.booleans(),
        instructions=st.none() | texts,
        sampling=st.builds(
            Sampling,
            temperature=st.none() | st.floats(0, 2),
            top_p=st.none() | st.floats(0, 1),
            max_output_tokens=st.none() | numbers,
        ),
        metadata=st.dictionaries(texts, texts, max_size=3),
    ),
    progress=st.builds(
        ResponseProgress,
        status=st.sampled_from(ResponseStatus),
        output_items=st.lists(texts, max_size=3).map(tuple),
        execution=st.none() | texts,
        begun_at=st.none() | moments,
        ended_at=st.none() | moments,
    ),
    history=st.builds(ResponseHistory, previous=st.none() | response_ids, conversation=st.none() | texts),
)
reservations = st.builds(
    Reservation,
    response=texts,
    subject=texts,
    amount=amounts,
    at=moments,
    status=st.sampled_from(ReservationStatus),
    cost=st.none() | amounts,
    closed_at=st.none() | moments,
    overhead=st.builds(OverheadCost, store=nano_amounts, functions=nano_amounts),
)
attempts = st.builds(
    AttemptRecord,
    response=texts,
    subject=texts,
    number=st.integers(1, 999),
    backend=texts,
    price=texts,
    started_at=moments,
    charge=st.builds(
        AttemptCharge,
        reserved=amounts,
        status=st.sampled_from(AttemptStatus),
        cost=st.none() | amounts,
        lines=st.dictionaries(st.sampled_from(BillLine), amounts),
    ),
    progress=st.builds(
        AttemptProgress,
        deliveries=numbers,
        first_token_at=st.none() | moments,
        ended_at=st.none() | moments,
        usage=st.none() | usages,
        result=texts,
        reason=texts,
    ),
)


@st.composite
def event_sequences(draw: st.DrawFn, *, ended: bool | None = None) -> tuple[LogEvent, ...]:
    """Return the events of a turn in a valid order, up to any point of the turn."""
    log_events = [LogEvent(kind=EventKind.CREATED), LogEvent(kind=EventKind.QUEUED), LogEvent(kind=EventKind.STARTED)]
    log = transcript_of(log_events)
    for kind in draw(st.lists(st.sampled_from([ItemKind.MESSAGE, ItemKind.FUNCTION_CALL]), max_size=4)):
        closed = draw(st.booleans())
        if log.open_item:
            log_events += closing_events(log, draw(st.sampled_from([ItemStatus.COMPLETED, ItemStatus.INCOMPLETE])))
        log_events += item_events(len(log.items), kind, draw(st.lists(texts, max_size=4)))
        log = transcript_of(log_events)
        log_events += closing_events(log, ItemStatus.COMPLETED) if closed else ()
        log = transcript_of(log_events)
    if draw(st.booleans()) if ended is None else ended:
        log_events += (
            *closing_events(log, ItemStatus.INCOMPLETE),
            LogEvent(kind=EventKind.ENDED, ending=draw(endings)),
        )
    return tuple(log_events)


def transcript_of(log_events: Sequence[LogEvent]) -> Transcript:
    log = Transcript()
    for event in log_events:
        log = after_event(log, event)
    return log


def item_events(index: int, kind: ItemKind, deltas: Sequence[str]) -> list[LogEvent]:
    call = kind is ItemKind.FUNCTION_CALL
    opening = LogEvent(
        kind=EventKind.ITEM_ADDED, output=index, header=ItemHeader(id=f"item{index}", kind=kind, name="f" * call)
    )
    delta_kind = EventKind.ARGUMENTS if call else EventKind.TEXT
    part = [] if call else [LogEvent(kind=EventKind.PART_ADDED, output=index)]
    return [opening, *part, *(LogEvent(kind=delta_kind, output=index, text=delta) for delta in deltas)]


@st.composite
def split(draw: st.DrawFn, log_events: Sequence[LogEvent]) -> tuple[Slot, ...]:
    """Return slots, fences among them, that hold these events in this order."""
    cuts = sorted(draw(st.lists(st.integers(0, len(log_events)), max_size=8)))
    bounds = [0, *cuts, len(log_events)]
    return tuple(
        Slot(
            number=number,
            writer=draw(st.sampled_from("abc")),
            first=start,
            at=float(number),
            events=tuple(log_events[start:end]),
            pieces=end - start,
        )
        for number, (start, end) in enumerate(pairwise(bounds))
    )


def through_json(document: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(document, allow_nan=False))


def total(costs: Sequence[Decimal]) -> Decimal:
    return sum(costs, Decimal(0))
