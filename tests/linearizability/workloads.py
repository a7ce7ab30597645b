"""Which objects of the product must look like one process changed them, and what do clients do with them?

Each workload has what clients do at the same time, on instances of their own, and what one process would allow.
"""

from collections.abc import Awaitable, Callable, Hashable
from copy import replace
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from clients.storage.port import DocumentStore
from domain.content.items import Item, Role
from domain.errors import Exhausted, Invalid
from domain.identity.owners import Owner
from domain.ids import member_id
from domain.log.events import EventKind, LogEvent, ResponseStatus, Slot
from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.budgets import TAKEN, Budgets, BudgetScope, tenant_day_counter_id
from domain.money.ledger_records import AttemptRecord, nanos
from domain.turns.response import Response, ResponseHistory, ResponseOptions
from domain.turns.webhook_events import WebhookEndpoints
from state.money.ledger import Ledger
from state.turns.conversations import ConversationStore
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.linearizability.checker import UNKNOWN
from tests.linearizability.recorder import Recorder

OWNER = Owner(tenant="tenant", subject="user:1")
THREAD = "a" * 24
CONVERSATION = f"conv_{THREAD}"
RESPONSE = member_id("resp", thread=THREAD, token="b" * 24)
CENT = Decimal("0.01")
BUDGETS = Budgets(limits={BudgetScope.TENANT_DAY: 3 * CENT})
STEPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One process: its view of the store, and its number."""

    number: int
    store: DocumentStore
    clock: FakeClock
    random: Random
    recorder: Recorder

    @property
    def turns(self) -> TurnStore:
        return TurnStore(self.store, self.clock, WebhookEndpoints())


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """`prepare` runs before the clients; `initial` and `step` are the object as one process would keep it."""

    prepare: Callable[[DocumentStore, FakeClock], Awaitable[None]]
    act: Callable[[Client], Awaitable[None]]
    initial: Hashable
    step: Callable[[Any, Any, Any], Any]


async def nothing(store: DocumentStore, clock: FakeClock) -> None:
    """Most objects begin empty."""


def allowed(output: object, expected: object) -> bool:
    return output is UNKNOWN or output == expected


async def write_log(client: Client) -> None:
    """Writers append where they think the log ends; a reader reads all of it."""
    number = 1
    for step in range(STEPS):
        slots = await client.recorder.call(("read",), lambda: read_log(client))
        number = len(slots) + 1 if slots is not None else number
        if client.random.random() < 3 / 4:
            writer = f"w{client.number}-{step}"
            slot = Slot(number=number, writer=writer, first=0, at=0.0, events=(LogEvent(kind=EventKind.STARTED),))
            await client.recorder.call(
                ("append", number, writer), lambda slot=slot: client.turns.append(OWNER, RESPONSE, slot)
            )


async def read_log(client: Client) -> tuple[tuple[int, str], ...]:
    slots = await client.turns.slots(OWNER, RESPONSE)
    return tuple((slot.number, slot.writer) for slot in slots)


type LogState = tuple[tuple[int, str], ...]


def log_step(state: LogState, given: tuple[Any, ...], output: object) -> LogState | None:
    match given:
        case ("append", number, writer):
            free = number not in dict(state)
            after = tuple(sorted((*state, (number, writer)))) if free else state
            return after if allowed(output, free) else None
        case _:
            return state if allowed(output, state) else None


LOG = Workload(prepare=nothing, act=write_log, initial=(), step=log_step)


async def spend(client: Client) -> None:
    """Attempts take a cent or two from a budget of three and pay back a part of it."""
    ledger = Ledger(client.store, client.clock, BUDGETS)
    for step in range(STEPS):
        reserved = CENT * client.random.choice([1, 2])
        record = AttemptRecord(
            response=f"resp_{client.number}_{step}",
            subject=OWNER.subject,
            number=1,
            backend="main",
            price="tokens",
            started_at=client.clock.now(),
            charge=AttemptCharge(reserved=reserved),
        )
        is_open = await client.recorder.call(("open", nanos(reserved)), lambda record=record: opens(ledger, record))
        if is_open:
            cost = reserved * client.random.choice([0, 1])
            opened = await stored(ledger, record)
            charge = replace(opened.charge, status=AttemptStatus.CLOSED, cost=cost)
            closed = replace(opened, charge=charge, progress=replace(opened.progress, ended_at=0.0))
            await client.recorder.call(
                ("close", nanos(reserved - cost)), lambda closed=closed: ledger.close_attempt(OWNER, closed)
            )
        await client.recorder.call(("taken",), lambda: taken(client, ledger))


async def opens(ledger: Ledger, record: AttemptRecord) -> bool:
    try:
        await ledger.open_attempt(OWNER, record)
    except Exhausted:
        return False
    return True


async def stored(ledger: Ledger, record: AttemptRecord) -> AttemptRecord:
    counters = await ledger.budget_counters.counter_ids(OWNER.tenant, record)
    return replace(record, charge=replace(record.charge, counters=counters))


async def taken(client: Client, ledger: Ledger) -> int:
    counter = tenant_day_counter_id(BUDGETS, client.clock.now())
    return (await ledger.budget_counters.counts(OWNER.tenant, counter))[TAKEN]


def ledger_step(state: int, given: tuple[Any, ...], output: object) -> int | None:
    match given:
        case ("open", amount):
            fits = state + amount <= nanos(3 * CENT)
            return (state + amount if fits else state) if allowed(output, fits) else None
        case ("close", amount):
            return state - amount
        case _:
            return state if allowed(output, state) else None


LEDGER = Workload(prepare=nothing, act=spend, initial=0, step=ledger_step)


async def converse(client: Client) -> None:
    """Turns lock a conversation and end; a caller adds items meanwhile."""
    conversations = ConversationStore(client.store, client.clock)
    for step in range(STEPS):
        seen = await client.recorder.call(("read",), lambda: look(conversations))
        if seen is None:
            continue
        if client.random.random() < 1 / 4:
            item = Item(id="", role=Role.USER, text="hello")
            await client.recorder.call(("add",), lambda item=item: adds(conversations, item))
            continue
        response = turn_after(seen[1], token=f"{client.number:012x}{step:012x}")
        if await client.recorder.call(("lock", response.id, seen[1]), lambda one=response: locks(client, one)):
            await client.recorder.call(("end", response.id), lambda one=response: ends(client, one))


def turn_after(next_entry: int, *, token: str) -> Response:
    return Response(
        id=member_id("resp", thread=THREAD, token=token),
        owner=OWNER,
        created_at=0.0,
        deadline_at=1.0,
        input_items=(),
        options=ResponseOptions(model="m"),
        history=ResponseHistory(conversation=CONVERSATION, reads_before=next_entry),
    )


async def look(conversations: ConversationStore) -> tuple[str, int]:
    found = await conversations.read(OWNER, CONVERSATION)
    return found.running or "", found.next_entry


async def adds(conversations: ConversationStore, item: Item) -> bool:
    await conversations.add(OWNER, CONVERSATION, [item])
    return True


async def locks(client: Client, response: Response) -> bool:
    try:
        await client.turns.admit(response, [], (LogEvent(kind=EventKind.CREATED),))
    except Invalid:
        return False
    return True


async def ends(client: Client, response: Response) -> bool:
    await client.turns.finish(OWNER, response.id, status=ResponseStatus.COMPLETED)
    return True


type LockState = tuple[str, int]


def lock_step(state: LockState, given: tuple[Any, ...], output: object) -> LockState | None:
    running, entries = state
    match given:
        case ("lock", response, reads_before):
            free = not running and entries == reads_before
            return ((response, entries) if free else state) if allowed(output, free) else None
        case ("end", response):
            return ("", entries + 1) if running == response else None
        case ("add",):
            return running, entries + 1
        case _:
            return state if allowed(output, state) else None


async def new_conversation(store: DocumentStore, clock: FakeClock) -> None:
    await ConversationStore(store, FixedToken()).create(OWNER, metadata={})


class FixedToken(FakeClock):
    """Names the conversation."""

    def token(self) -> str:
        return THREAD


LOCK = Workload(prepare=new_conversation, act=converse, initial=("", 0), step=lock_step)
WORKLOADS = {"log": LOG, "ledger": LEDGER, "conversation lock": LOCK}
