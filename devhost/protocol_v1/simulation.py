"""Which commands, with which ids, does a list of actions come to, given what has happened so far?

The host numbers what it schedules in the order in which its own program of the actions runs: top-level actions one
after the other, a retried call with a timer after each failure (one more, due at once, after the last), compounds
together. The SDK numbers its tasks the same way, so this order is the protocol.
"""

import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

from devhost.engine.model.commands import (
    CallEntity,
    RunActivity,
    SchedulingCommand,
    SignalEntity,
    StartChild,
    StartTimer,
)
from devhost.engine.model.events import EventKind, HistoryEvent
from devhost.protocol_v1.actions import (
    Action,
    Activity,
    AllOf,
    AnyOf,
    AskEntity,
    CallHttp,
    Child,
    ContinueAsNew,
    Retry,
    Timer,
    WaitForEvent,
)
from devhost.protocol_v1.http_calls import HTTP_ACTIVITY, poll_of

COMPLETIONS = {
    EventKind.ACTIVITY_COMPLETED: True,
    EventKind.CHILD_COMPLETED: True,
    EventKind.TIMER_FIRED: True,
    EventKind.ENTITY_COMPLETED: True,
    EventKind.ENTITY_FAILED: False,
    EventKind.ACTIVITY_FAILED: False,
    EventKind.CHILD_FAILED: False,
}


class Pending:
    """Something that a program waits for; what waits goes on inside `resolve`, as .NET's continuations do."""

    def __init__(self) -> None:
        self.done = False
        self.succeeded = False
        self.value: str | None = None
        self.waiting: list[Callable[[], None]] = []

    def resolve(self, *, succeeded: bool, value: str | None = None) -> None:
        if self.done:
            return
        self.done, self.succeeded, self.value = True, succeeded, value
        waiting, self.waiting = self.waiting, []
        for go_on in waiting:
            go_on()

    def then(self, go_on: Callable[[], None]) -> None:
        if self.done:
            go_on()
        else:
            self.waiting.append(go_on)

    def __await__(self) -> Generator["Pending", None, bool]:
        if not self.done:
            yield self
        return self.succeeded


def run(program: Coroutine[Pending, None, bool]) -> Pending:
    """Runs a program as far as it goes; the rest runs as what it waits for resolves."""
    ended = Pending()

    def step() -> None:
        try:
            awaited = program.send(None)
        except StopIteration as stop:
            ended.resolve(succeeded=stop.value)
        else:
            awaited.then(step)

    step()
    return ended


def resolved(*, succeeded: bool) -> Pending:
    pending = Pending()
    pending.resolve(succeeded=succeeded)
    return pending


@dataclass(slots=True, kw_only=True)
class Simulation:
    """`commands` are in the order of their ids; `open` are those not completed; `carried` came after the end.

    `polls` counts the HTTP calls that were sent on, each after `http_wait_s` if its answer did not say when.
    """

    actions: tuple[Action, ...]
    execution: str
    http_wait_s: float = 30.0
    now: float = 0.0
    polls: int = 0
    commands: list[SchedulingCommand] = field(default_factory=list[SchedulingCommand])
    open: dict[int, Pending] = field(default_factory=dict[int, Pending])
    waiters: defaultdict[str, list[Pending]] = field(default_factory=lambda: defaultdict(list))
    early: defaultdict[str, deque[HistoryEvent]] = field(default_factory=lambda: defaultdict(deque))
    held: list[HistoryEvent] = field(default_factory=list[HistoryEvent])
    carried: list[HistoryEvent] = field(default_factory=list[HistoryEvent])
    suspended: bool = False
    program: Pending | None = None
    continued: ContinueAsNew | None = None

    @property
    def ended(self) -> bool:
        """The program is through and nothing that it started is left: a timer nobody cancelled keeps it open."""
        return self.program is not None and self.program.done and not self.open

    @property
    def waits(self) -> bool:
        """Something that the host knows of can still wake the orchestrator."""
        return bool(self.open) or any(self.waiters.values()) or self.suspended

    def feed_all(self, events: Iterable[HistoryEvent]) -> None:
        for event in events:
            self.feed(event)

    def feed(self, event: HistoryEvent) -> None:
        if event.kind in COMPLETIONS or event.kind is EventKind.EVENT_RAISED:
            self.receive(event)
            return
        match event.kind:
            case EventKind.ORCHESTRATOR_STARTED:
                self.now = event.at
            case EventKind.STARTED:
                self.program = run(self.in_order())
            case EventKind.SUSPENDED:
                self.suspended = True
            case EventKind.RESUMED:
                self.resume()
            case _:
                pass

    def receive(self, event: HistoryEvent) -> None:
        """A suspended program hears of nothing until it is resumed."""
        if self.suspended:
            self.held.append(event)
        elif event.kind is EventKind.EVENT_RAISED:
            self.on_raised(event)
        else:
            self.on_completion(event)

    def resume(self) -> None:
        self.suspended = False
        held, self.held = self.held, []
        self.feed_all(held)

    def on_completion(self, event: HistoryEvent) -> None:
        pending = self.open.pop(event.task, None)
        if pending is not None:
            pending.resolve(succeeded=COMPLETIONS[event.kind], value=event.result)

    def on_raised(self, event: HistoryEvent) -> None:
        if self.program is not None and self.program.done and self.continued is not None:
            self.carried.append(event)
            return
        name = (event.name or "").lower()
        if self.waiters[name]:
            self.waiters[name].pop().resolve(succeeded=True)
        else:
            self.early[name].append(event)

    def schedule(self, make: Callable[[int], SchedulingCommand]) -> Pending:
        number = len(self.commands)
        command = make(number)
        self.commands.append(command)
        if isinstance(command, StartTimer) and command.cancelled:
            return resolved(succeeded=False)
        if isinstance(command, SignalEntity):
            return resolved(succeeded=True)
        pending = self.open[number] = Pending()
        return pending

    def wait_for(self, name: str) -> Pending:
        key = name.lower()
        if self.early[key]:
            self.early[key].popleft()
            return resolved(succeeded=True)
        pending = Pending()
        self.waiters[key].append(pending)
        return pending

    async def in_order(self) -> bool:
        for action in self.actions:
            await self.begin(action)
        return True

    def begin(self, action: Action) -> Awaitable[bool]:
        match action:
            case AskEntity():
                begun = self.schedule(self.entity(action))
            case Activity() | Child():
                make = self.activity(action) if isinstance(action, Activity) else self.child(action)
                begun = self.schedule(make) if action.retry is None else self.retried(action.retry, make)
            case Timer():
                begun = self.schedule(self.timer(action.fire_at, cancelled=action.cancelled))
            case CallHttp():
                begun = self.http(action.request)
            case WaitForEvent():
                begun = self.wait_for(action.name)
            case ContinueAsNew():
                self.continued = action
                begun = resolved(succeeded=True)
            case AnyOf() | AllOf():
                begun = self.together(action)
        return begun

    def together(self, action: AnyOf | AllOf) -> Awaitable[bool]:
        children = [self.start(child) for child in action.children]
        return self.first_of(children) if isinstance(action, AnyOf) else self.all_of(children)

    def start(self, action: Action) -> Pending:
        begun = self.begin(action)
        return begun if isinstance(begun, Pending) else run(awaiting(begun))

    async def retried(self, retry: Retry, make: Callable[[int], SchedulingCommand]) -> bool:
        for attempt in range(1, retry.attempts + 1):
            if await self.schedule(make):
                return True
            last = attempt == retry.attempts
            await self.schedule(self.timer(self.now + (0.0 if last else retry.wait_s(attempt))))
        return False

    async def http(self, request: str) -> bool:
        while True:
            asked = self.schedule(self.activity(Activity(name=HTTP_ACTIVITY, input=request)))
            if not await asked:
                return False
            poll = poll_of(request, asked.value, self.http_wait_s)
            if poll is None:
                return True
            self.polls += 1
            await self.schedule(self.timer(self.now + poll.wait_s))
            request = poll.request

    def activity(self, action: Activity) -> Callable[[int], SchedulingCommand]:
        return lambda number: RunActivity(id=number, name=action.name, input=action.input)

    def child(self, action: Child) -> Callable[[int], SchedulingCommand]:
        return lambda number: StartChild(
            id=number,
            name=action.name,
            instance=action.instance or f"{self.execution}:{number}",
            input=json.dumps(action.input),
            version=action.version,
        )

    def timer(self, fire_at: float, *, cancelled: bool = False) -> Callable[[int], SchedulingCommand]:
        return lambda number: StartTimer(id=number, fire_at=fire_at, cancelled=cancelled)

    def entity(self, action: AskEntity) -> Callable[[int], SchedulingCommand]:
        entity, operation, given = action.entity, action.operation, action.input
        if action.signal:
            return lambda number: SignalEntity(
                id=number, entity=entity, operation=operation, input=given, due=action.due
            )
        return lambda number: CallEntity(id=number, entity=entity, operation=operation, input=given)

    @staticmethod
    async def all_of(children: list[Pending]) -> bool:
        outcomes = [await child for child in children]
        return all(outcomes)

    @staticmethod
    def first_of(children: list[Pending]) -> Pending:
        first = Pending() if children else resolved(succeeded=True)
        for child in children:
            child.then(lambda: first.resolve(succeeded=True))
        return first


async def awaiting(begun: Awaitable[Any]) -> bool:
    return await begun
