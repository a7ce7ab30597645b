"""Which commands, with which ids, result from an action list and the events so far?

The host numbers tasks in the order in which it executes the actions: top-level actions one after another, a retried
call with a timer after each failure (and one more, due at once, after the last), the parts of a compound together. The
SDK numbers its tasks in the same way, so this order is part of the protocol.
"""

import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
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
from devhost.engine.model.events import HistoryEvent, HistoryEventKind
from devhost.protocol_v1.actions import (
    Action,
    CallActivity,
    CallHttp,
    CallSubOrchestrator,
    ContinueAsNew,
    CreateTimer,
    EntityAction,
    RetryOptions,
    WaitForEvent,
    WhenAll,
    WhenAny,
)
from devhost.protocol_v1.http_calls import HTTP_ACTIVITY, next_poll
from devhost.protocol_v1.replay.pending_tasks import PendingTask, resolved_task, run_program

COMPLETIONS = {
    HistoryEventKind.ACTIVITY_COMPLETED: True,
    HistoryEventKind.CHILD_COMPLETED: True,
    HistoryEventKind.TIMER_FIRED: True,
    HistoryEventKind.ENTITY_COMPLETED: True,
    HistoryEventKind.ENTITY_FAILED: False,
    HistoryEventKind.ACTIVITY_FAILED: False,
    HistoryEventKind.CHILD_FAILED: False,
}


@dataclass(slots=True, kw_only=True)
class Simulation:
    """`commands` are ordered by id, `open_tasks` are not completed, `carried_events` arrived after the end.

    `polls` counts the repeated HTTP calls; `http_poll_interval_s` applies if a response has no Retry-After.
    `early_names` are the names of events that answered a wait which began later. `lost_events` and `answered_again` are
    names for which the SDK then differs from the host: see `traps`.
    """

    actions: tuple[Action, ...]
    execution: str
    http_poll_interval_s: float = 30.0
    now: float = 0.0
    polls: int = 0
    early_names: set[str] = field(default_factory=set[str])
    lost_events: set[str] = field(default_factory=set[str])
    answered_again: set[str] = field(default_factory=set[str])
    commands: list[SchedulingCommand] = field(default_factory=list[SchedulingCommand])
    open_tasks: dict[int, PendingTask] = field(default_factory=dict[int, PendingTask])
    waiters: defaultdict[str, list[PendingTask]] = field(default_factory=lambda: defaultdict(list))
    early_events: defaultdict[str, deque[HistoryEvent]] = field(default_factory=lambda: defaultdict(deque))
    held_events: list[HistoryEvent] = field(default_factory=list[HistoryEvent])
    carried_events: list[HistoryEvent] = field(default_factory=list[HistoryEvent])
    suspended: bool = False
    program: PendingTask | None = None
    continued_as_new: ContinueAsNew | None = None

    @property
    def ended(self) -> bool:
        """True if the program has ended and no task is open: a timer that was not cancelled keeps it running."""
        return self.program is not None and self.program.done and not self.open_tasks

    @property
    def is_waiting(self) -> bool:
        """True if an event that the host knows of can still wake the orchestrator."""
        return bool(self.open_tasks) or any(self.waiters.values()) or self.suspended

    def feed_all(self, events: Iterable[HistoryEvent]) -> None:
        for event in events:
            self.feed(event)

    def feed(self, event: HistoryEvent) -> None:
        if event.kind in COMPLETIONS or event.kind is HistoryEventKind.EVENT_RAISED:
            self.receive(event)
            return
        match event.kind:
            case HistoryEventKind.ORCHESTRATOR_STARTED:
                self.now = event.at
            case HistoryEventKind.STARTED:
                self.program = run_program(self.run_actions())
            case HistoryEventKind.SUSPENDED:
                self.suspended = True
            case HistoryEventKind.RESUMED:
                self.resume()
            case _:
                pass

    def receive(self, event: HistoryEvent) -> None:
        """A suspended program receives its events when it is resumed."""
        if self.suspended:
            self.held_events.append(event)
        elif event.kind is HistoryEventKind.EVENT_RAISED:
            self.on_raised(event)
        else:
            self.on_completion(event)

    def resume(self) -> None:
        self.suspended = False
        held, self.held_events = self.held_events, []
        self.feed_all(held)

    def on_completion(self, event: HistoryEvent) -> None:
        pending = self.open_tasks.pop(event.task, None)
        if pending is not None:
            pending.resolve(succeeded=COMPLETIONS[event.kind], value=event.result)

    def on_raised(self, event: HistoryEvent) -> None:
        if self.program is not None and self.program.done and self.continued_as_new is not None:
            self.carried_events.append(event)
            return
        name = (event.name or "").lower()
        if self.waiters[name]:
            self.waiters[name].pop().resolve(succeeded=True)
        else:
            if self.early_events[name]:
                self.lost_events.add(name)
            self.early_events[name].append(event)

    def schedule(self, make: Callable[[int], SchedulingCommand]) -> PendingTask:
        number = len(self.commands)
        command = make(number)
        self.commands.append(command)
        if isinstance(command, StartTimer) and command.cancelled:
            return resolved_task(succeeded=False)
        if isinstance(command, SignalEntity):
            return resolved_task(succeeded=True)
        pending = self.open_tasks[number] = PendingTask()
        return pending

    def wait_for(self, name: str) -> PendingTask:
        key = name.lower()
        if key in self.early_names:
            self.answered_again.add(key)
        if self.early_events[key]:
            self.early_names.add(key)
            self.early_events[key].popleft()
            return resolved_task(succeeded=True)
        pending = PendingTask()
        self.waiters[key].append(pending)
        return pending

    async def run_actions(self) -> bool:
        for action in self.actions:
            await self.start_action(action)
        return True

    def start_action(self, action: Action) -> Awaitable[bool]:
        match action:
            case EntityAction():
                started_task = self.schedule(self.entity(action))
            case CallActivity() | CallSubOrchestrator():
                make = self.activity(action) if isinstance(action, CallActivity) else self.child(action)
                started_task = (
                    self.schedule(make) if action.retry is None else self.call_with_retries(action.retry, make)
                )
            case CreateTimer():
                started_task = self.schedule(self.timer(action.fire_at, cancelled=action.cancelled))
            case CallHttp():
                started_task = self.call_http(action.request)
            case WaitForEvent():
                started_task = self.wait_for(action.name)
            case ContinueAsNew():
                self.continued_as_new = action
                started_task = resolved_task(succeeded=True)
            case WhenAny() | WhenAll():
                started_task = self.start_compound(action)
        return started_task

    def start_compound(self, action: WhenAny | WhenAll) -> Awaitable[bool]:
        children = [self.start_pending(child) for child in action.children]
        return self.when_any(children) if isinstance(action, WhenAny) else self.when_all(children)

    def start_pending(self, action: Action) -> PendingTask:
        started_task = self.start_action(action)
        return started_task if isinstance(started_task, PendingTask) else run_program(as_coroutine(started_task))

    async def call_with_retries(self, retry: RetryOptions, make: Callable[[int], SchedulingCommand]) -> bool:
        for attempt in range(1, retry.attempts + 1):
            if await self.schedule(make):
                return True
            last = attempt == retry.attempts
            await self.schedule(self.timer(self.now + (0.0 if last else retry.delay_s(attempt))))
        return False

    async def call_http(self, request: str) -> bool:
        while True:
            call = self.schedule(self.activity(CallActivity(name=HTTP_ACTIVITY, input=request)))
            if not await call:
                return False
            poll = next_poll(request, call.value, self.http_poll_interval_s)
            if poll is None:
                return True
            self.polls += 1
            await self.schedule(self.timer(self.now + poll.delay_s))
            request = poll.request

    def activity(self, action: CallActivity) -> Callable[[int], SchedulingCommand]:
        return lambda number: RunActivity(id=number, name=action.name, input=action.input)

    def child(self, action: CallSubOrchestrator) -> Callable[[int], SchedulingCommand]:
        return lambda number: StartChild(
            id=number,
            name=action.name,
            instance=action.instance or f"{self.execution}:{number}",
            input=json.dumps(action.input),
            version=action.version,
        )

    def timer(self, fire_at: float, *, cancelled: bool = False) -> Callable[[int], SchedulingCommand]:
        return lambda number: StartTimer(id=number, fire_at=fire_at, cancelled=cancelled)

    def entity(self, action: EntityAction) -> Callable[[int], SchedulingCommand]:
        entity, operation, input_ = action.entity, action.operation, action.input
        if action.signal:
            return lambda number: SignalEntity(
                id=number, entity=entity, operation=operation, input=input_, due=action.due
            )
        return lambda number: CallEntity(id=number, entity=entity, operation=operation, input=input_)

    @staticmethod
    async def when_all(children: list[PendingTask]) -> bool:
        outcomes = [await child for child in children]
        return all(outcomes)

    @staticmethod
    def when_any(children: list[PendingTask]) -> PendingTask:
        first = PendingTask() if children else resolved_task(succeeded=True)
        for child in children:
            child.then(lambda: first.resolve(succeeded=True))
        return first


async def as_coroutine(started_task: Awaitable[Any]) -> bool:
    return await started_task
