"""How does a turn that waits for approvals behave when processes die, sleep and are replaced, in virtual time?

Every seed is one history: a few requests, people who decide them at any moment and at the same time, steps that are
delivered again, events that are lost, a sweep, and perhaps a cancel or a deletion. The orchestrator's wait, the steps,
the decisions, the records, the log and the ledger are the product's own.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast, override

from activities.approvals.ask import AskApprovals
from activities.call_tools import CallTools
from activities.maintenance.approval_sweep import ApprovalSweep
from activities.routing.request_size import NOTHING
from api.approvals.decisions import ApprovalFunctions, check_same
from api.approvals.items import ApprovalResponseInput
from clients.storage.port import DocumentStore
from domain import wire
from domain.approval_wire import ASK, AskedWire, decided_event
from domain.content.items import Item, ItemKind, ItemStatus
from domain.content.tools import FunctionCall, ToolConfig
from domain.errors import GanglionError, Invalid, NoResponse, NotFound, Retryable
from domain.log.answer_events import approval_request_events
from domain.log.events import LogEvent, ResponseStatus, Slot
from domain.money.ledger_records import ReservationStatus
from domain.tools.catalog import ToolEffect
from domain.tools.listings.listing import offered_function
from domain.turns.rate_limits import RateLimit, RateLimits
from domain.turns.response import ResponseOptions
from domain.turns.webhook_events import WebhookEndpoints
from orchestrators.approval_waits import settle_requests
from orchestrators.step_costs import StepCosts
from orchestrators.turn_waits import TurnWaits
from state.approvals.index import ApprovalIndex
from state.approvals.reservations import ReservationsAside
from state.approvals.waits import ApprovalWaits
from state.money.limit_changes import ChangedLimits
from state.rate_limits import RateLimiter
from state.retention.deletion import Retention
from state.turns.approvals import Approvals
from state.turns.responses import TurnStore
from state.turns.tool_calls import ToolCalls
from tests.activities.tools.call_simulation import (
    ARGUMENTS,
    HOST_FAULTS,
    MOST_DELIVERIES,
    SERVERS,
    OneCall,
    Simulation,
    SleepyStore,
)
from tests.fakes.histories import judged
from tests.fakes.orchestration import EventBoard, FakeContext, FakeOrchestrations, Run, TimerOrEvent, sent_result
from tests.fakes.stores import CrashError, Faults
from tests.fakes.worlds import OWNER

TTL_S = 300.0
TICK_S = 15.0
PLENTY = RateLimit(per_minute=6000, burst=1000, running=1000)
OFFERED = ToolConfig(
    functions=tuple(offered_function(SERVERS.known["shop"], SERVERS.known["shop"].tools[name]) for name in ARGUMENTS),
    approval_s=TTL_S,
)


@dataclass(frozen=True, kw_only=True)
class ApprovalParts:
    """Which classes a history runs: the product's own, or mutants of them."""

    waits: type[ApprovalWaits] = ApprovalWaits
    approvals: type[Approvals] = Approvals


class Signals(FakeOrchestrations):
    """Raises events, and loses some of those that people raise."""

    def __init__(self, history: "WaitingHistory") -> None:
        super().__init__()
        self.history = history

    async def signal_cancelled(self, response_id: str) -> None:
        await super().signal_cancelled(response_id)
        self.history.board.post(wire.CANCELLED_EVENT)

    async def signal_decided(self, response_id: str, request_id: str) -> None:
        await super().signal_decided(response_id, request_id)
        self.history.board.post(decided_event(request_id))

    async def is_running(self, instance_id: str) -> bool:
        await asyncio.sleep(0)
        return self.history.is_waiting


class PassingTime(Run):
    """Lets a moment pass after each wait: the host's orchestrations see no time again at which a timer was due."""

    @override
    async def timer(self, waits: Sequence[TimerOrEvent]) -> int:
        index = await Run.timer(self, waits)
        await self.clock.sleep(0.001)
        return index


@dataclass
class WaitingHistory:
    """One history. `calls` has the store, the clock, the server and the chances.

    `announces`: other calls of the round run first, and the requests are announced before them.
    """

    seed: int
    parts: ApprovalParts = field(default_factory=ApprovalParts)
    announces: bool = False
    replies: dict[str, set[tuple[bool, str]]] = field(default_factory=dict[str, set[tuple[bool, str]]])
    requests: list[str] = field(default_factory=list[str])
    follows: str = ""
    is_waiting: bool = True
    tasks: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])

    def __post_init__(self) -> None:
        self.calls = Simulation(self.seed)
        self.calls.connector = OneCall(self.calls.server, self.calls.has_outcome)
        self.random, self.clock = self.calls.random, self.calls.clock
        self.board = EventBoard(self.clock)
        self.signals = Signals(self)

    def turns(self, store: DocumentStore | None = None) -> TurnStore:
        turns = TurnStore(store or self.calls.store, self.clock, WebhookEndpoints())
        turns.approvals = self.parts.approvals(turns.store, self.clock)
        return turns

    def waits(self, turns: TurnStore) -> ApprovalWaits:
        return self.parts.waits(turns, ApprovalIndex(turns.store, self.clock, is_shared=False), SERVERS, self.clock)

    def faulty(self, *, is_calm: bool) -> DocumentStore:
        faults = Faults(rate=0.0 if is_calm else self.calls.rate, kinds=HOST_FAULTS)
        chance = random.Random(self.random.getrandbits(64))  # noqa: S311 - a history must repeat
        return SleepyStore(self.calls.store, chance, faults, self.clock, self.calls.sleeps)

    def limiter(self, turns: TurnStore) -> RateLimiter:
        limits, changes = RateLimits(owner=PLENTY, tenant=PLENTY), ChangedLimits(turns.store, self.clock)
        return RateLimiter(store=turns.store, turns=turns, clock=self.clock, limits=limits, changes=changes)

    async def run(self) -> None:
        await self.admit()
        helpers = [asyncio.create_task(each()) for each in (self.tick, self.sweep)]
        people = [self.person(name) for name in self.requests for _ in range(self.random.randint(0, 3))]
        try:
            await asyncio.gather(self.play(), self.end(), *people)
            await asyncio.gather(*self.tasks, *self.calls.server.working)
        finally:
            for each in helpers:
                each.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
        for _ in range(2):
            await self.clock.sleep(1200)
            await self.sweep_once()
        await self.calls.ledger(self.calls.store).settle(OWNER, self.calls.response.id)

    async def play(self) -> None:
        """Announce the requests where the history does so, and settle them when the other calls have ended."""
        if self.announces:
            for _ in range(self.random.randint(0, 2)):
                self.tasks.add(asyncio.create_task(self.announce_late()))
            await self.announce(self.calls.kills)
            await self.clock.sleep(self.random.choice([0.0, 1.0, 100.0, 400.0]) * self.random.random())
        await self.orchestrate()

    async def announce_late(self) -> None:
        """Deliver an attempt once more, which announces again, while the turn waits or has ended."""
        await self.clock.sleep(self.random.choice([0.01, 1.0, 100.0, 400.0]) * self.random.random())
        await self.announce(self.calls.kills)

    async def announce(self, kills: float) -> None:
        turns = self.turns(self.faulty(is_calm=False))
        task = asyncio.create_task(self.waits(turns).announce(self.calls.response))
        killer = asyncio.create_task(self.calls.kill(task)) if self.random.random() < kills else None
        with suppress(CrashError, asyncio.CancelledError):
            await task
        if killer:
            killer.cancel()

    async def admit(self) -> None:
        """Admit a turn whose model has asked for a few calls."""
        waits_s = self.random.choice([200.0, 900.0])
        await self.calls.admit(
            self.turns(), ResponseOptions(model="m", tool_config=OFFERED, approval_wait_s=waits_s), 0
        )
        response, events = self.calls.response, list[LogEvent]()
        assert await self.turns().begin(OWNER, response.id, execution="1")
        for index in range(self.random.randint(1, 3)):
            item, name = self.calls.name("mcpr"), self.random.choice(list(ARGUMENTS))
            self.calls.tools[item] = SERVERS.known["shop"].tools[name]
            self.requests.append(item)
            call = FunctionCall(name=name, arguments=json.dumps(ARGUMENTS[name]), server="shop")
            events += approval_request_events(index, call, item_id=item, call_id=f"call_{index}", number=1)
        log = await self.turns().transcript(OWNER, response.id)
        at = self.clock.now()
        slot = Slot(number=log.next_slot, writer="infer:1", first=log.next_sequence, at=at, events=tuple(events))
        assert await self.turns().append(OWNER, response.id, slot)

    async def tick(self) -> None:
        """Let the host look at its timers."""
        while True:
            await self.clock.sleep(TICK_S)
            self.board.post()

    async def sweep(self) -> None:
        while True:
            await self.clock.sleep(60)
            await self.sweep_once()

    async def sweep_once(self) -> None:
        turns = self.turns()
        reservations = ReservationsAside(turns.store, self.clock)
        sweep = ApprovalSweep(
            turns=turns, waits=self.waits(turns), reservations=reservations, clock=self.clock, undone_s=30, silent_s=300
        )
        await sweep.run(self.signals)

    async def orchestrate(self) -> None:
        """Run the orchestrator's wait over a host that delivers its steps again, and end the turn."""
        steps: dict[str, Callable[[Any], Awaitable[Any]]] = {ASK: self.ask, wire.TRY_CALL_TOOL: self.call}
        steps[wire.TRY_CALL_TOOLS] = CallTools(self.call).call
        host = PassingTime if self.announces else Run
        run = host(clock=self.clock, steps=steps, done=[], history=[], events=self.board)
        context = FakeContext({}, self.clock)
        owner = {"tenant": OWNER.tenant, "subject": OWNER.subject}
        turn: Any = {**owner, "response": self.calls.response.id, "traceparent": ""}
        work = StepCosts().track(settle_requests(context, turn, TurnWaits(in_place=True)))
        yielded = next(work)
        while True:
            result = await run.result(yielded)
            run.history.append(result)
            try:
                yielded = work.send(sent_result(result, yielded))
            except StopIteration as stop:
                self.follows = stop.value.follows
                break
        self.is_waiting = False
        try:
            await self.turns().finish(OWNER, self.calls.response.id, status=ResponseStatus.COMPLETED)
        except NoResponse:
            return

    async def ask(self, request: Any) -> Any:
        if self.random.random() < 0.2:
            self.tasks.add(asyncio.create_task(self.ask_late(request)))
        for number in range(MOST_DELIVERIES):
            asked = await self.asked_once(request, is_last=number == MOST_DELIVERIES - 1)
            if asked:
                return asked
            await self.clock.sleep(self.random.choice([0.1, 1.0, 6.0]))
        raise AssertionError("the last delivery, which nothing disturbed, has not returned")

    async def ask_late(self, request: Any) -> None:
        """Deliver a step once more, while the first delivery runs or long after it."""
        await self.clock.sleep(self.random.choice([0.01, 1.0, 30.0]))
        await self.asked_once(request, is_last=False)

    async def asked_once(self, request: Any, *, is_last: bool) -> AskedWire | None:
        turns = self.turns(self.faulty(is_calm=is_last))
        reservations = ReservationsAside(turns.store, self.clock)
        step = AskApprovals(waits=self.waits(turns), reservations=reservations, limits=self.limiter(turns))
        task = asyncio.create_task(step.ask(request))
        kills = not is_last and self.random.random() < self.calls.kills
        killer = asyncio.create_task(self.calls.kill(task)) if kills else None
        try:
            return await task
        except NoResponse:
            return {"follows": "ended", "calls": [], "open": [], "until": 0.0, "added": NOTHING}
        except (Retryable, CrashError, asyncio.CancelledError):
            return None
        finally:
            if killer:
                killer.cancel()

    async def call(self, request: Any) -> Any:
        await self.calls.host(request["call"])
        (outcome, *_) = [each for each in self.calls.returned[request["call"]] if each != "ended"] or ["ended"]
        return {"outcome": outcome, "added": NOTHING}

    async def person(self, request: str) -> None:
        """Decide about a request, and again as long as there is no answer."""
        approves = self.random.random() < 0.7
        await self.clock.sleep(self.random.choice([0.01, 1.0, 40.0, 250.0, 400.0]) * self.random.random())
        for number in range(MOST_DELIVERIES):
            try:
                reply = await self.decided_once(request, approves=approves, is_last=number == MOST_DELIVERIES - 1)
            except (Retryable, CrashError):
                await self.clock.sleep(1.0)
                continue
            self.replies.setdefault(request, set()).add(reply)
            break
        if self.random.random() < 0.6:
            self.board.post(decided_event(request))

    async def decided_once(self, request: str, *, approves: bool, is_last: bool) -> tuple[bool, str]:
        """Return whether the request was decided as asked, and the reason where it was not."""
        turns, unused = self.turns(self.faulty(is_calm=is_last)), cast("Any", None)
        endpoint = ApprovalFunctions(
            authenticator=unused,
            limits=unused,
            bodies=unused,
            turns=turns,
            waits=self.waits(turns),
            servers=SERVERS,
            open_orchestrations=unused,
            clock=self.clock,
        )
        given = ApprovalResponseInput(approval_request_id=request, approve=approves)
        try:
            turn = await turns.read(OWNER, self.calls.response.id)
            approval = await endpoint.asked(OWNER, turn, request)
            if approval is None:
                return approves, "not asked"
            decided = approval if approval.decision else await endpoint.decided(turn, approval, given, OWNER)
            check_same(decided, given, now=self.clock.now())
        except (Invalid, NotFound) as error:
            return approves, str(getattr(error, "code", "") or "not found")
        return approves, "done"

    async def end(self) -> None:
        """Cancel or delete the turn at some moment; the signal may be lost."""
        if not self.calls.ends:
            return
        await self.clock.sleep(self.random.choice([0.02, 5.0, 100.0, 300.0]) * self.random.random())
        turns = self.turns()
        if self.calls.ends == "cancel":
            await turns.finish(OWNER, self.calls.response.id, status=ResponseStatus.CANCELLED)
        else:
            try:
                await Retention(self.calls.store, turns, self.clock).delete_response(OWNER, self.calls.response.id)
            except GanglionError:
                return
        if self.random.random() < 0.5:
            self.board.post(wire.CANCELLED_EVENT)

    async def judge(self) -> None:
        assert not self.calls.server.late, self.calls.server.late
        await self.judge_books()
        if self.calls.ends == "delete":
            left = await self.calls.store.list(self.calls.key(), prefix="approval_")
            assert not left, "a request was left after the deletion"
            return
        log = await self.turns().transcript(OWNER, self.calls.response.id)
        answers = [item for item in log.items if item.kind is ItemKind.APPROVAL_RESPONSE]
        assert len({item.approval for item in answers}) == len(answers), "a request was answered twice"
        for request in self.requests:
            await self.judge_request(request, log.items)

    async def judge_request(self, request: str, items: tuple[Item, ...]) -> None:
        """The record, the log, the replies and the effects of a request tell of one decision."""
        answer = next(
            (item for item in items if item.approval == request and item.kind is ItemKind.APPROVAL_RESPONSE), None
        )
        runs = [item for item in items if item.approval == request and item.kind is ItemKind.MCP_CALL]
        stored, effects = await self.turns().approvals.find(OWNER, request), self.calls.server.effects[request]
        done = {approves for approves, reason in self.replies.get(request, set()) if reason == "done"}
        assert len(done) <= 1, "two decisions were confirmed"
        assert stored is None or not (stored.waits and stored.decision), "a decision was not carried out"
        assert len(runs) <= 1
        if answer is None:
            assert not runs
            assert not effects
            assert self.calls.ends or not done, "a confirmed decision was lost"
            return
        assert stored
        assert stored.decision
        assert stored.decision.approves is answer.approves
        assert done <= {answer.approves}
        assert bool(runs) is answer.approves
        if self.calls.tools[request].effect is ToolEffect.WRITE:
            assert effects <= answer.approves
        assert not [item for item in runs if item.status is ItemStatus.IN_PROGRESS]

    async def judge_books(self) -> None:
        """Nothing is left open."""
        found = await self.calls.ledger(self.calls.store).reservation(OWNER, self.calls.response.id)
        assert found
        assert found.status is ReservationStatus.SETTLED
        records = await ToolCalls(self.calls.store, self.clock).of_response(OWNER, self.calls.response.id)
        assert not [each for each in records if not each.outcome], "a record was left open"
        assert not await self.turns().approvals.decided(before=self.clock.now() + 1), "a decision waits"
        assert not await self.turns().approvals.ended_waits(before=self.clock.now() + 1), "a wait was not ended"


def simulate(seed: int, parts: ApprovalParts | None = None, *, announces: bool = False) -> WaitingHistory:
    """Run and judge one history. Raises AssertionError where a rule is broken; its note names the seed."""
    return judged(WaitingHistory(seed, parts or ApprovalParts(), announces))
