"""How do calls of tools behave when processes die, sleep and are replaced, in virtual time?

Every seed is one history: a turn with some parallel calls, a host that delivers each call until one delivery has
returned, workers that die or sleep at any instruction, a server that loses requests and answers, and perhaps a cancel
or a deletion. The code of the calls, of their records, of the log and of the ledger is the product's own.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any, override

from activities.call_tool import CallTool
from activities.tools.call_billing import CallBilling
from activities.tools.call_log import CallLog
from activities.tools.call_sender import CallSender
from activities.tools.caller_grants import CallerGrants
from activities.tools.result_cache import ResultCache
from activities.tools.result_pages import ResultPages
from clients.storage.port import DocumentStore
from clients.tools.port import CallFailure, ToolAnswer, ToolCaller, ToolError, ToolRequest
from domain.content.items import Item, Role
from domain.content.tools import FunctionCall
from domain.errors import NoResponse, Retryable
from domain.ids import member_id
from domain.log.answer_events import server_call_events
from domain.log.events import EventKind, LogEvent, ResponseStatus, Slot
from domain.money.budgets import Budgets
from domain.tools.call_record import CallRecord, call_id
from domain.tools.catalog import ServerTool, ToolEffect
from domain.turns.response import Response, ResponseOptions
from domain.turns.webhook_events import WebhookEndpoints
from state.money.ledger import Ledger
from state.retention.deletion import Retention
from state.tools.directory import ToolDirectory
from state.tools.durations import LearnedToolDurations
from state.tools.pins import ToolPins
from state.tools.whole_results import WholeResults
from state.turns.responses import TurnStore
from state.turns.tool_calls import ToolCalls
from tests.fakes.clocks import LoopClock
from tests.fakes.histories import judged
from tests.fakes.stores import Call, CrashError, Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.tools import FILE, FakeTools, shop
from tests.fakes.worlds import OWNER, THREAD, NoExchange

SERVERS = shop(
    FILE.replace('effect = "read"', 'effect = "read"\ntries = 2\nprice = "0.001"')
    .replace('idempotency = "', 'tries = 2\nprice = "0.01"\nidempotency = "')
    .replace('path = "/v1/notes"', 'path = "/v1/notes"\nprice = "0.1"')
)
ARGUMENTS = {"find_order": {"number": "A-1"}, "refund_order": {"number": "A-1"}, "send_note": {"text": "hello"}}
MOST_DELIVERIES = 8
HOST_FAULTS = (Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
NEVER_S = 10_000.0


@dataclass(slots=True)
class SimulatedServer:
    """Counts effects. It may lose a request or an answer, answer late, or be busy."""

    random: Random
    clock: LoopClock
    is_reliable: bool
    effects: Counter[str] = field(default_factory=Counter[str])
    keys: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    arrived: Counter[str] = field(default_factory=Counter[str])
    late: list[str] = field(default_factory=list[str])
    working: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def call(self, item: str, tool: ServerTool, key: str) -> ToolAnswer:
        """Handle a request; its work goes on where the caller dies. Raises ToolError."""
        kind = "fine" if self.is_reliable else self.random.choice(["fine"] * 6 + ["refused", "lost", "cut", "busy"])
        delay = self.random.choice([0.01, 0.3, 2.0] if self.is_reliable else [0.01, 0.3, 2.0, 9.0, 15.0])
        if kind == "refused":
            raise ToolError(CallFailure.NOT_SENT, "The call was not sent.")
        self.arrived[item] += 1
        if kind == "busy":
            return ToolAnswer(status=503, text="busy")
        if kind == "lost":
            raise ToolError(CallFailure.NO_ANSWER, "The server gave no answer.")
        work = asyncio.create_task(self.work(item, tool, key, delay * self.random.random()))
        self.working.add(work)
        await self.clock.sleep(delay)
        if kind == "cut":
            raise ToolError(CallFailure.NO_ANSWER, "The server gave no answer.")
        return ToolAnswer(status=200, text="done")

    async def work(self, item: str, tool: ServerTool, key: str, after_s: float) -> None:
        await self.clock.sleep(after_s)
        seen = self.keys.setdefault(item, set())
        if tool.key and key in seen:
            return
        seen.add(key)
        self.effects[item] += 1


class SleepyStore(FlakyStore):
    """A store as one process sees it, which may sleep for long before or after a call."""

    def __init__(self, store: DocumentStore, random: Random, faults: Faults, clock: LoopClock, sleeps: float) -> None:
        super().__init__(store, random, faults)
        self.clock = clock
        self.sleeps = sleeps

    @override
    async def pause(self, call: Call) -> None:
        long = self.random.random() < self.sleeps
        await self.clock.sleep(self.random.choice([3.0, 8.0, 25.0, 60.0]) if long else self.random.random() / 100)
        await super().pause(call)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Which classes a simulation runs: the product's own, or mutants of them."""

    sender: type[CallSender] = CallSender
    log: type[CallLog] = CallLog
    calls: type[ToolCalls] = ToolCalls
    billing: type[CallBilling] = CallBilling


@dataclass(slots=True)
class Simulation:
    """One history."""

    seed: int
    parts: Parts = field(default_factory=Parts)
    random: Random = field(init=False)
    clock: LoopClock = field(init=False)
    store: MemoryStore = field(init=False)
    server: SimulatedServer = field(init=False)
    response: Response = field(init=False)
    tools: dict[str, ServerTool] = field(default_factory=dict[str, ServerTool])
    returned: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    rate: float = 0.0
    sleeps: float = 0.0
    kills: float = 0.0
    deliveries: int = 0
    ends: str = ""
    connector: ToolCaller | None = None
    look_at: dict[str, float] = field(default_factory=dict[str, float])
    has_ended: bool = False

    def __post_init__(self) -> None:
        self.random = Random(self.seed)  # noqa: S311 - a history must repeat
        self.clock = LoopClock(seed=self.seed)
        self.store = MemoryStore(self.clock)
        calm = self.random.random() < 0.1
        self.rate = 0.0 if calm else self.random.choice([0, 0.02, 0.1])
        self.sleeps = 0.0 if calm else self.random.choice([0, 0, 0.03, 0.1])
        self.kills = 0.0 if calm else self.random.choice([0, 0.3, 0.7])
        self.ends = self.random.choice(["", "", "", "cancel", "delete"])
        self.server = SimulatedServer(self.random, self.clock, is_reliable=calm)

    @property
    def is_calm(self) -> bool:
        return self.server.is_reliable and not self.ends

    async def run(self) -> None:
        turns = self.clean_turns()
        await self.admit(turns, ResponseOptions(model="m"), self.random.randint(1, 3))
        await asyncio.gather(*(self.host(item) for item in self.tools), self.end())
        await asyncio.gather(*self.server.working)

    def clean_turns(self) -> TurnStore:
        return TurnStore(self.store, self.clock, WebhookEndpoints())

    async def admit(self, turns: TurnStore, options: ResponseOptions, calls: int) -> None:
        """Admit a turn, and write so many calls into its log as an attempt does."""
        asked = Item(id=self.name("msg"), role=Role.USER, text="hello")
        now = self.clock.now()
        self.response = Response(
            id=member_id("resp", thread=THREAD, token=self.clock.token()),
            owner=OWNER,
            created_at=now,
            deadline_at=now + 1800,
            input_items=(asked.id,),
            options=options,
        )
        await self.ledger(self.store).reserve(OWNER, self.response.id, Decimal("0.01"))
        await turns.admit(self.response, (asked,), (LogEvent(kind=EventKind.CREATED),))
        events: list[LogEvent] = []
        for index in range(calls):
            item, name = self.name("mcp"), self.random.choice(list(ARGUMENTS))
            self.tools[item] = SERVERS.known["shop"].tools[name]
            call = FunctionCall(name=name, arguments=json.dumps(ARGUMENTS[name]), server="shop")
            events += server_call_events(index, call, item_id=item, call_id=f"call_{index}", number=1)
        if not events:
            return
        slot = Slot(number=1, writer="infer:1", first=1, at=now, events=tuple(events))
        assert await turns.append(OWNER, self.response.id, slot)

    def name(self, prefix: Any) -> str:
        return member_id(prefix, thread=THREAD, token=self.clock.token())

    def ledger(self, store: DocumentStore) -> Ledger:
        return Ledger(store, self.clock, Budgets())

    def process(self, item: str, *, faulty: bool) -> CallTool:
        """Return the step as a new worker runs it. One that is not faulty does not sleep either."""
        faults = Faults(rate=self.rate if faulty else 0.0, kinds=HOST_FAULTS)
        chance = Random(self.random.getrandbits(64))  # noqa: S311 - a history must repeat
        store = SleepyStore(self.store, chance, faults, self.clock, self.sleeps if faulty else 0.0)
        turns = TurnStore(store, self.clock, WebhookEndpoints())
        results = WholeResults(store)
        sender = self.parts.sender(
            calls=self.parts.calls(store, self.clock),
            results=results,
            connector=self.connector or self.connected(item),
            billing=self.parts.billing(ledger=self.ledger(store), clock=self.clock),
            cache=ResultCache(self.clock),
            durations=LearnedToolDurations(self.store, self.clock),
            clock=self.clock,
        )
        pages = ResultPages(results, SERVERS)
        grants = CallerGrants(grants=None, exchange=NoExchange(), servers=SERVERS)
        log = self.parts.log(turns, self.clock)
        directory = ToolDirectory(FakeTools(), ToolPins(store, self.clock))
        return CallTool(
            turns=turns, servers=SERVERS, directory=directory, sender=sender, pages=pages, grants=grants, log=log
        )

    def connected(self, item: str) -> "OneCall":
        return OneCall(self.server, self.has_outcome, item)

    async def host(self, item: str) -> None:
        """Deliver a call until a delivery has returned. Some are delivered twice, where the first only seems dead."""
        await asyncio.gather(
            self.delivered(item, self.kills),
            *([self.delivered(item, 0.0)] if self.kills and self.random.random() < 0.3 else []),
        )

    async def delivered(self, item: str, kills: float) -> None:
        for number in range(MOST_DELIVERIES):
            is_last = number == MOST_DELIVERIES - 1
            outcome = await self.delivery(item, kills=0.0 if is_last else kills, faulty=not is_last)
            if outcome:
                self.returned.setdefault(item, []).append(outcome)
                return
            await self.clock.sleep(self.random.choice([0.1, 1.0, 6.0, 30.0]))
        raise AssertionError("the last delivery, which nothing disturbed, has not returned")

    async def delivery(self, item: str, *, kills: float, faulty: bool) -> str:
        """Run one delivery; return its outcome, or nothing where it failed or died."""
        self.deliveries += 1
        step = self.process(item, faulty=faulty)
        turn = {"tenant": OWNER.tenant, "subject": OWNER.subject, "response": self.response.id}
        request: Any = {**turn, "traceparent": "", "call": item}
        task = asyncio.create_task(step.call(request))
        killer = asyncio.create_task(self.kill(task)) if self.random.random() < kills else None
        try:
            called = await task
            self.look_at[item] = called.get("until", 0.0)
            return called["outcome"]
        except NoResponse:
            return "ended"
        except (Retryable, CrashError, asyncio.CancelledError):
            return ""
        finally:
            if killer:
                killer.cancel()

    async def kill(self, task: asyncio.Task[Any]) -> None:
        await self.clock.sleep(self.random.choice([0.005, 0.02, 0.05, 0.3, 2.0, 8.0]) * self.random.random())
        task.cancel()

    async def end(self) -> None:
        """Cancel or delete the turn at some moment."""
        if not self.ends:
            return
        await self.clock.sleep(self.random.choice([0.02, 0.3, 5.0, 30.0]) * self.random.random())
        self.has_ended = True
        if self.ends == "cancel":
            await self.clean_turns().finish(OWNER, self.response.id, status=ResponseStatus.CANCELLED)
        else:
            await Retention(self.store, self.clean_turns(), self.clock).delete_response(OWNER, self.response.id)

    async def judge(self) -> None:
        self.judge_effects()
        await (self.judge_deletion() if self.ends == "delete" else self.judge_log())
        await self.judge_money()

    def judge_effects(self) -> None:
        assert not self.server.late, self.server.late
        for item, tool in self.tools.items():
            if tool.effect is ToolEffect.WRITE:
                assert self.server.effects[item] <= 1, f"{tool.name} had {self.server.effects[item]} effects"
            assert len(set(self.returned[item]) - {"ended"}) <= 1, f"{tool.name} returned {self.returned[item]}"

    async def judge_log(self) -> None:
        turns = self.clean_turns()
        slots = await turns.slots(OWNER, self.response.id)
        assert [slot.number for slot in slots] == list(range(len(slots)))
        firsts = [sum(len(slot.events) for slot in slots[:at]) for at in range(len(slots))]
        assert [slot.first for slot in slots] == firsts, "the events are not numbered without gaps"
        events = [event for slot in slots for event in slot.events]
        log = await turns.transcript(OWNER, self.response.id)
        records = {
            each.item: each for each in await ToolCalls(self.store, self.clock).of_response(OWNER, self.response.id)
        }
        for index, item in enumerate(log.items):
            ends = [event for event in events if event.output == index and event.kind is EventKind.ITEM_DONE]
            assert len(ends) == 1, f"the item {index} ended {len(ends)} times"
            record, outcomes = records.get(item.id), set(self.returned[item.id]) - {"ended"}
            assert record is None or record.outcome, "a record was left open"
            if not log.ending:
                assert record
                assert record.outcome
                assert outcomes == {item.status.value}, (outcomes, item.status)
                assert (item.output, item.error) == (record.outcome.output, record.outcome.error)
            self.judge_truth(item, record)

    def judge_truth(self, item: Item, record: CallRecord | None) -> None:
        """What the log says of a call must be true. Where one of several runs has sent a write, it may be unknown."""
        tool, effects = self.tools[item.id], self.server.effects[item.id]
        if item.status.value == "completed":
            assert effects, f"{tool.name} is completed without an effect"
        said = str((item.error or {}).get("content", ""))
        if tool.effect is ToolEffect.WRITE and said.startswith("The call was not sent"):
            assert not effects, f"{tool.name} had an effect, and the log says: {said}"
        if self.is_calm:
            assert item.status.value == "completed"
        if record and record.outcome and record.outcome.unknown and tool.is_repeatable and not self.ends:
            assert tool.effect is ToolEffect.WRITE
            assert record.tries > 1

    async def judge_deletion(self) -> None:
        left = await self.store.list(self.key(), prefix="call_")
        assert not left, f"records were left after the deletion: {[each.id for each in left]}"

    def has_outcome(self, item: str) -> bool:
        """Tell whether the record of a call has an outcome now."""
        row = self.store.rows(self.key()).get(call_id(self.response.id, item))
        return row is not None and bool(row.document.body["outcome"])

    def key(self) -> Any:
        return next(key for key in self.store.partitions if key.container == "turns")

    async def judge_money(self) -> None:
        ledger = self.ledger(self.store)
        await ledger.settle(OWNER, self.response.id)
        records = {each.call: each for each in await ledger.records(OWNER, self.response.id)}
        for item, tool in self.tools.items():
            arrived = self.server.arrived[item] * tool.price
            if not arrived and item not in records:
                continue
            charge = records[item].charge
            assert charge.cost is not None
            assert charge.cost >= arrived, f"{tool.name} costs {charge.cost}, and {arrived} were sent"
            if self.is_calm:
                assert charge.cost == arrived


@dataclass(slots=True)
class OneCall:
    """Tells the server which call a request belongs to: to `item`, or to the call that its key names."""

    server: SimulatedServer
    has_outcome: Callable[[str], bool]
    item: str = ""

    async def call(self, request: ToolRequest) -> ToolAnswer:
        item = self.item or request.key
        if not request.tool.is_repeatable and self.has_outcome(item):
            self.server.late.append(f"{request.tool.name} was sent after its outcome had been recorded")
        return await self.server.call(item, request.tool, request.key)


def simulate(seed: int, parts: Parts | None = None) -> Simulation:
    """Run and judge one history. Raises AssertionError where a rule is broken; its note names the seed."""
    return judged(Simulation(seed, parts or Parts()))
