"""How does a turn with tools and an approval go on when its process dies at one point, whichever that is?

A host keeps the histories of the orchestrations, and starts another process over the same store when one has died. The
caller repeats what it had no answer to. A point is a call of the store, a request to the shop, or the result of a step
that the host did not record.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

import httpx

from clients.backends.port import AnswerEnd, TextPiece
from clients.orchestrations import turn_wire
from clients.tools.port import AS_APP, Credential, ToolAnswer, ToolRequest
from domain.content.items import ItemKind
from domain.log.events import LogEvent
from domain.tools.catalog import ToolServer
from domain.tools.listings.listing import ToolListing
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.responses import TurnStore
from state.turns.tool_calls import ToolCalls
from tests.api.harness import Api
from tests.api.tools.agents import SHOP, agent, calls
from tests.fakes.backends import Act, FakeBackend, says
from tests.fakes.clocks import LoopClock
from tests.fakes.orchestration import EventBoard, Run
from tests.fakes.stores import CrashError, Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.tools import FILE, shop
from tests.fakes.worlds import OWNER

type Json = dict[str, Any]

SERVERS = shop(
    FILE.replace('effect = "read"', 'effect = "read"\nprice = "0.001"')
    .replace('idempotency = "', 'price = "0.01"\nidempotency = "')
    .replace('path = "/v1/notes"', 'path = "/v1/notes"\nprice = "0.1"')
)
FIRST = (
    ("shop__find_order", {"number": "A-1"}),
    ("shop__refund_order", {"number": "A-1"}),
    ("shop__send_note", {"text": "first"}),
)
SECOND = (
    ("shop__find_order", {"number": "A-2"}),
    ("shop__refund_order", {"number": "A-2"}),
    ("shop__send_note", {"text": "second"}),
    ("shop__close_shop", dict[str, Any]()),
)
KEYED = "refund_order"
READ = "find_order"
LOOK_S = 0.25


class Point(NamedTuple):
    """Where the process dies: at the call `number` of the store, of the shop or of a step, before or after it acts."""

    kind: str
    number: int
    is_after: bool = True


NOWHERE = Point("", -1)


class Planned(FakeBackend):
    """A model that calls the tools of the first round, then those of the second one, and then answers."""

    async def play(self, script: Sequence[Act]) -> AsyncIterator[TextPiece | AnswerEnd]:
        call = self.calls[-1]
        made = sum(item.kind is ItemKind.FUNCTION_CALL for item in call.items)
        acts = says("all is done".removeprefix(call.partial)) if made >= 2 * len(FIRST) else None
        async for piece in super().play(acts or calls(*(SECOND if made else FIRST))):
            yield piece


@dataclass(slots=True)
class Shop:
    """The server of the tools. It lives on when a process dies, and counts effects and requests by key."""

    effects: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    arrived: Counter[str] = field(default_factory=Counter[str])

    def handle(self, request: ToolRequest) -> ToolAnswer:
        name, key = request.tool.name, request.key
        self.arrived[name] += 1
        if not (name == KEYED and self.effects[name, key]):
            self.effects[name, key] += 1
        return ToolAnswer(status=200, text=f"{name} is done")


@dataclass(slots=True)
class Instance:
    """One orchestration as the host keeps it."""

    request: Any
    run: Run
    is_done: bool = False


@dataclass(slots=True)
class Process:
    """One life of the application, which dies at a point."""

    point: Point
    store: FlakyStore
    server: Shop
    clock: LoopClock
    requests: int = 0
    steps: int = 0

    async def call(self, request: ToolRequest) -> ToolAnswer:
        """Send a request of a tool. Raises CrashError where the process dies before, or before the answer comes."""
        number, self.requests = self.requests, self.requests + 1
        await self.clock.sleep(0.02)
        self.die("shop", number, is_after=False)
        answer = self.server.handle(request)
        self.die("shop", number, is_after=True)
        await self.clock.sleep(0.02)
        self.die("", 0, is_after=True)
        return answer

    async def listing(self, server: ToolServer, credential: Credential = AS_APP) -> ToolListing:
        await asyncio.sleep(0)
        raise AssertionError(f"{server.label} lists no tools")

    def die(self, kind: str, number: int, *, is_after: bool) -> None:
        """Raise CrashError where the process is dead, or dies here."""
        if self.point == (kind, number, is_after):
            self.store.crashed = True
        if self.store.crashed:
            raise CrashError(f"died at {kind} {number}")

    def recorded(self, step: Any) -> Any:
        """Return a step whose result the host may lose."""

        async def run(request: Any) -> Any:
            result = await step(request)
            number, self.steps = self.steps, self.steps + 1
            self.die("step", number, is_after=True)
            return result

        return run


@dataclass(slots=True)
class Lives:
    """One task of a caller over all lives of the application: in place, or with a second response for the approval."""

    in_place: bool
    clock: LoopClock = field(default_factory=LoopClock)
    server: Shop = field(default_factory=Shop)
    store: MemoryStore = field(init=False)
    instances: dict[str, Instance] = field(default_factory=dict[str, Instance])
    boards: dict[str, EventBoard] = field(default_factory=dict[str, EventBoard])
    made: list[Json] = field(default_factory=list[Json])
    decision: Json = field(default_factory=dict[str, Any])
    deaths: int = 0
    open_at_death: set[str] = field(default_factory=set[str])
    seen: dict[str, list[list[LogEvent]]] = field(default_factory=dict[str, list[list[LogEvent]]])
    lived: list[Process] = field(default_factory=list[Process])

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)

    @property
    def turns(self) -> TurnStore:
        """The turns as they are stored, read without faults."""
        return TurnStore(self.store, self.clock, WebhookEndpoints())

    async def run(self, *points: Point) -> None:
        """Let one process after another die at these points, and the next one finish the work."""
        for point in (*points, NOWHERE):
            if await self.live(point):
                return
        raise AssertionError("the last process has not finished the work")

    async def live(self, point: Point) -> bool:
        """Run one process to its end; False where it died."""
        kinds = Fault.CRASH_AFTER if point.is_after else Fault.CRASH_BEFORE
        faults = Faults(at={point.number: kinds} if point.kind == "store" else {})
        store = FlakyStore(self.store, Random(0), faults)  # noqa: S311 - nothing is drawn
        process = Process(point, store, self.server, self.clock)
        self.lived.append(process)
        one = agent(main=Planned(()), tools=process, servers=SERVERS, store=store, clock=self.clock)
        one.orchestrations.hold, one.orchestrations.boards = True, self.boards
        one.orchestrations.running |= {name for name, each in self.instances.items() if not each.is_done}
        work = [asyncio.ensure_future(each) for each in (self.caller(one), self.host(one, process))]
        done, pending = await asyncio.wait(work, return_when="FIRST_EXCEPTION")
        await self.accept(one)
        for each in pending:
            each.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        errors = [each.exception() for each in done if each.exception()]
        if not errors and not store.crashed:
            return True
        for each in errors:
            if not isinstance(each, CrashError):
                raise each or AssertionError
        await self.note_death()
        return False

    async def note_death(self) -> None:
        self.deaths += 1
        for name in self.instances:
            slots = await self.turns.slots(OWNER, name)
            self.seen.setdefault(name, []).append([event for slot in slots for event in slot.events])
            records = await ToolCalls(self.store, self.clock).of_response(OWNER, name)
            self.open_at_death |= {each.item for each in records if not each.outcome}

    async def host(self, one: Api, process: Process) -> None:
        """Run the orchestrations, as long as the caller has something left to do."""
        running: dict[str, asyncio.Task[None]] = {}
        try:
            while not self.is_over:
                await self.accept(one)
                for name, each in self.instances.items():
                    if name not in running and not each.is_done:
                        running[name] = asyncio.ensure_future(self.orchestrate(each, one, process))
                await asyncio.wait([asyncio.ensure_future(self.clock.sleep(LOOK_S)), *running.values()], timeout=LOOK_S)
                for task in running.values():
                    if task.done():
                        task.result()
                process.die("", 0, is_after=True)
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)

    async def accept(self, one: Api) -> None:
        """Take in the orchestrations that the application has started."""
        for name in one.orchestrations.started:
            if name not in self.instances:
                board = self.boards[name] = EventBoard(self.clock)
                run = Run(clock=self.clock, steps={}, done=[], history=[], events=board)
                self.instances[name] = Instance(turn_wire(await self.turns.read(OWNER, name)), run)
                one.orchestrations.running.add(name)

    async def orchestrate(self, instance: Instance, one: Api, process: Process) -> None:
        instance.run.steps = {name: process.recorded(step) for name, step in one.world.steps.items()}
        await instance.run.respond(instance.request)
        instance.is_done = True

    @property
    def is_over(self) -> bool:
        asked = len(self.made) == (1 if self.in_place else 2)
        return asked and all(each.is_done for each in self.instances.values()) and len(self.instances) == len(self.made)

    async def caller(self, one: Api) -> None:
        """Do what is left: ask, wait for the request, decide, and wait for the end."""
        body: Json = {"model": "auto", "input": "go", "background": True, "tools": [SHOP]}
        metadata = {"metadata": {"approval_wait_s": "864000"}} if self.in_place else {}
        if not self.made:
            self.made.append(succeeded(await one.create({**body, **metadata}, idempotency_key="first")))
        request = await self.request()
        answer = {"approval_request_id": request, "approve": True}
        if self.in_place:
            if not self.decision:
                path = f"/v1/responses/{self.made[0]['id']}/approvals"
                self.decision = succeeded(await one.http.post(path, json=answer))
        elif len(self.made) == 1:
            body["input"] = [{"type": "mcp_approval_response", **answer}]
            again = {**body, "previous_response_id": self.made[0]["id"]}
            self.made.append(succeeded(await one.create(again, idempotency_key="second")))
        while not self.is_over:
            await self.clock.sleep(LOOK_S)

    async def request(self) -> str:
        """Return the id of the request once it can be decided."""
        while True:
            response = await self.turns.read(OWNER, self.made[0]["id"])
            if response.progress.wait or response.status.is_terminal:
                log = await self.turns.transcript(OWNER, response.id)
                return next(item.id for item in log.items if item.kind is ItemKind.APPROVAL_REQUEST)
            await self.clock.sleep(LOOK_S)

    async def responses(self) -> list[Response]:
        return [await self.turns.read(OWNER, each["id"]) for each in self.made]


def succeeded(answer: httpx.Response) -> Json:
    assert answer.status_code == 200, answer.text
    return answer.json()
