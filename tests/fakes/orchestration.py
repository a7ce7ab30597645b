"""How does an orchestrator run without a host?"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, override
from uuid import UUID

from azure.durable_functions import RetryOptions

from activities.guard import never_raises, with_packing
from clients.clock import Clock
from domain.batches.batch import Batch
from domain.packed_wire import DEFAULTS
from domain.place_wire import place_event
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookDelivery
from orchestrators.respond import respond
from orchestrators.steps import STEP_RETRY

STEP_TRIES = STEP_RETRY.max_number_of_attempts


@dataclass(frozen=True, slots=True)
class ActivityCall:
    """A call of an activity that an orchestrator yields."""

    name: str
    request: Any


@dataclass(frozen=True, slots=True)
class ParallelCalls:
    """Calls of activities that an orchestrator yields together."""

    calls: Sequence[ActivityCall]


@dataclass(slots=True, eq=False)
class TimerOrEvent:
    """A timer or (without a time) the external event with this name."""

    at: datetime | None = None
    name: str = ""
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeContext:
    """The fake of `orchestrators.context.Context`; `request` is the orchestration's input.

    `at` is the time that an orchestrator sees; None for that of the clock.
    """

    def __init__(self, request: Any, clock: Clock, *, execution: int = 1) -> None:
        self.request = request
        self.clock = clock
        self.execution = execution
        self.next_request: Any = None
        self.at: float | None = None

    @property
    def version(self) -> str:
        return "1.8"

    @property
    def current_utc_datetime(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now() if self.at is None else self.at, tz=UTC)

    def get_input(self) -> Any:
        return self.request

    def new_uuid(self) -> UUID:
        return UUID(int=self.execution)

    def call_activity(self, name: str, input_: Any) -> ActivityCall:
        return ActivityCall(name, input_)

    def call_activity_with_retry(self, name: str, retry_options: RetryOptions, input_: Any) -> ActivityCall:
        return ActivityCall(name, input_)

    def create_timer(self, fire_at: datetime) -> TimerOrEvent:
        return TimerOrEvent(at=fire_at)

    def wait_for_external_event(self, name: str) -> TimerOrEvent:
        return TimerOrEvent(name=name)

    def continue_as_new(self, input_: Any) -> None:
        self.next_request = input_

    def task_all(self, activities: Sequence[ActivityCall]) -> ParallelCalls:
        return ParallelCalls(activities)

    def task_any(self, activities: Sequence[TimerOrEvent]) -> Sequence[TimerOrEvent]:
        return activities


class EventBoard:
    """The external events of one orchestration; they stay, like those that the SDK receives before anybody waits.

    A wait for none of the events of `kinds` is left to the timer alone.
    """

    kinds: tuple[str, ...] = ("decided_",)

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.raised: set[str] = set()
        self.changed = asyncio.Event()
        self.waits: list[float] = []
        self.waited = asyncio.Event()

    async def begun(self, waits: int) -> None:
        """Return when so many waits have begun."""
        while len(self.waits) < waits:
            self.waited.clear()
            await self.waited.wait()

    def post(self, name: str = "") -> None:
        """Raise an event; without a name, only look at the clock again."""
        self.raised |= {name} - {""}
        self.changed.set()

    async def first(self, waits: Sequence[TimerOrEvent], fire_at: float) -> int:
        """Return the index of the first event of these, or that of the timer once its time has come."""
        self.waits.append(fire_at - self.clock.now())
        self.waited.set()
        while True:
            for index, wait in enumerate(waits):
                if wait.name in self.raised or (wait.at and self.clock.now() >= fire_at):
                    return index
            self.changed.clear()
            await self.change(fire_at)

    async def change(self, fire_at: float) -> None:
        await self.changed.wait()


class TimedEvents(EventBoard):
    """Events beside timers that fire in their own time: for a clock that moves by itself."""

    kinds = ("decided_", "place_")

    @override
    async def change(self, fire_at: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, fire_at - self.clock.now())):
                await self.changed.wait()


@dataclass(slots=True)
class Run:
    """One execution of the orchestration of a turn; `history` holds the results of its steps, like the host's history.

    `times` are those of its beginning and of each result: a replay sees them again.

    After a step that crashed, another call of `respond` replays the history and continues.
    """

    clock: Clock
    steps: Mapping[str, Callable[[Any], Awaitable[Any]]]
    done: list[str]
    history: list[Any]
    fire_times: dict[int, float] = field(default_factory=dict[int, float])
    times: list[float] = field(default_factory=list[float])
    continued: Any = None
    events: EventBoard | None = None

    async def respond(self, request: Any, *, execution: int = 1) -> Any:
        """Run to the end, in as many histories as it takes."""
        while True:
            context = FakeContext(self.continued or request, self.clock, execution=execution)
            result = await self.run(context)
            if context.next_request is None:
                return result
            self.continued = context.next_request
            self.history.clear()
            self.times.clear()
            self.fire_times.clear()

    async def run(self, context: FakeContext) -> Any:
        """Run one history to its end; a failed step is thrown into the orchestrator as the host does."""
        if not self.times:
            self.times.append(self.clock.now())
        context.at = self.times[0]
        steps = respond(context)
        yielded, number = next(steps), 0
        while True:
            if number == len(self.history):
                self.history.append(await self.result(yielded))
                self.times.append(self.clock.now())
            result = self.history[number]
            number += 1
            context.at = self.times[number]
            try:
                yielded = (
                    steps.throw(result) if isinstance(result, Exception) else steps.send(sent_result(result, yielded))
                )
            except StopIteration as stop:
                return stop.value

    async def result(self, yielded: Any) -> Any:
        if isinstance(yielded, ParallelCalls):
            return await at_once([self.never_raising(call) for call in yielded.calls])
        if not isinstance(yielded, ActivityCall):
            return await self.timer(yielded)
        result = await self.outcome(yielded)
        self.done.append(yielded.name)
        return result

    async def never_raising(self, call: ActivityCall) -> Any:
        """Run a step of a `task_all` as it is registered; the host does not repeat it."""
        result = await packing(call.name, never_raises(self.steps[call.name]))(call.request)
        self.done.append(call.name)
        return result

    async def outcome(self, call: ActivityCall) -> Any:
        """Return the step's result, or the failure of its last try: the host repeats every failed step."""
        failure = Exception("no try")
        for _ in range(STEP_TRIES):
            try:
                return await packing(call.name, self.steps[call.name])(call.request)
            except Exception as error:  # noqa: BLE001 - whatever a step raises fails its task
                failure = Exception(str(error))
        return failure

    async def timer(self, waits: Sequence[TimerOrEvent]) -> int:
        """Let the timer fire at the time that it was first created with; return its index."""
        index = next(index for index, wait in enumerate(waits) if wait.at)
        created_for = waits[index].at
        fire_at = self.fire_times.setdefault(len(self.history), created_for.timestamp() if created_for else 0.0)
        if self.events and any(wait.name.startswith(self.events.kinds) for wait in waits):
            return await self.events.first(waits, fire_at)
        await self.clock.sleep(max(0.0, fire_at - self.clock.now()))
        return index


def packing(name: str, step: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    """Return a step that takes packed messages, where it is registered so."""
    return with_packing(name, step) if name in DEFAULTS else step


async def at_once(steps: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Run steps in parallel; where the process crashes in one, it crashes in all."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def sent_result(result: Any, yielded: Any) -> Any:
    """Return the step's result, or the timer or event that won a race; each replay creates these anew."""
    return result if isinstance(yielded, ActivityCall | ParallelCalls) else yielded[result]


class FakeOrchestrations:
    """Records what was started and cancelled; `running` are the orchestrations that are alive.

    Those with a board of events get the events of places.
    """

    def __init__(self) -> None:
        self.started: list[str] = []
        self.cancelled: list[str] = []
        self.deliveries: list[str] = []
        self.batches: list[str] = []
        self.batch_wakes: list[tuple[str, int]] = []
        self.woken: list[str] = []
        self.decided: list[tuple[str, str]] = []
        self.places: list[tuple[str, int]] = []
        self.boards: dict[str, EventBoard] = {}
        self.running: set[str] = set()

    async def start(self, response: Response) -> None:
        await asyncio.sleep(0)
        self.started.append(response.id)

    async def start_delivery(self, delivery: WebhookDelivery) -> None:
        await asyncio.sleep(0)
        self.deliveries.append(f"{delivery.response} {delivery.endpoint}")

    async def start_batch(self, batch: Batch) -> None:
        await asyncio.sleep(0)
        self.batches.append(batch.id)

    async def wake_batch(self, batch_id: str, looks: int) -> None:
        await asyncio.sleep(0)
        self.batch_wakes.append((batch_id, looks))

    async def signal_cancelled(self, response_id: str) -> None:
        await asyncio.sleep(0)
        self.cancelled.append(response_id)

    async def signal_decided(self, response_id: str, request_id: str) -> None:
        await asyncio.sleep(0)
        self.decided.append((response_id, request_id))

    async def signal_turn_ended(self, response_id: str) -> None:
        await asyncio.sleep(0)
        self.woken.append(response_id)

    async def signal_place(self, response_id: str, route: int) -> None:
        await asyncio.sleep(0)
        self.places.append((response_id, route))
        if board := self.boards.get(response_id):
            board.post(place_event(route))

    async def is_running(self, instance_id: str) -> bool:
        await asyncio.sleep(0)
        return instance_id in self.running
