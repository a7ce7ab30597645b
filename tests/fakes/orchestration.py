"""How does an orchestrator run where no host is?"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from azure.durable_functions import RetryOptions

from activities.guard import never_raises
from clients.clock import Clock
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookDelivery
from orchestrators.respond import STEP_RETRY, respond

STEP_TRIES = STEP_RETRY.max_number_of_attempts


@dataclass(frozen=True, slots=True)
class Asked:
    """An activity that an orchestrator yields."""

    name: str
    given: Any


@dataclass(frozen=True, slots=True)
class Together:
    """Activities that an orchestrator yields at once."""

    asked: Sequence[Asked]


@dataclass(slots=True, eq=False)
class Alarm:
    """A timer or (without a time) an external event."""

    at: datetime | None = None
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeContext:
    """What `orchestrators.context.Context` asks for."""

    def __init__(self, given: Any, clock: Clock, *, execution: int = 1) -> None:
        self.given = given
        self.clock = clock
        self.execution = execution

    @property
    def version(self) -> str:
        return "1.1"

    @property
    def current_utc_datetime(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now(), tz=UTC)

    def get_input(self) -> Any:
        return self.given

    def new_uuid(self) -> UUID:
        return UUID(int=self.execution)

    def call_activity(self, name: str, input_: Any) -> Asked:
        return Asked(name, input_)

    def call_activity_with_retry(self, name: str, retry_options: RetryOptions, input_: Any) -> Asked:
        return Asked(name, input_)

    def create_timer(self, fire_at: datetime) -> Alarm:
        return Alarm(at=fire_at)

    def wait_for_external_event(self, name: str) -> Alarm:
        return Alarm()

    def task_all(self, activities: Sequence[Asked]) -> Together:
        return Together(activities)

    def task_any(self, activities: Sequence[Alarm]) -> Sequence[Alarm]:
        return activities


@dataclass(slots=True)
class Run:
    """One execution of the orchestration of a turn; `history` holds what its steps gave, as the host keeps it.

    A step that crashes leaves the run where it was: `respond` called again replays the history and goes on.
    """

    clock: Clock
    steps: Mapping[str, Callable[[Any], Awaitable[Any]]]
    done: list[str]
    history: list[Any]
    alarms: dict[int, float] = field(default_factory=dict[int, float])

    async def respond(self, given: Any, *, execution: int = 1) -> Any:
        """Run to the end; a failed step is thrown into the orchestrator as the host does."""
        steps = respond(FakeContext(given, self.clock, execution=execution))
        yielded, number = next(steps), 0
        while True:
            if number == len(self.history):
                self.history.append(await self.result(yielded))
            result = self.history[number]
            number += 1
            try:
                yielded = steps.throw(result) if isinstance(result, Exception) else steps.send(chosen(result, yielded))
            except StopIteration as stop:
                return stop.value

    async def result(self, yielded: Any) -> Any:
        if isinstance(yielded, Together):
            return await at_once([self.tried(asked) for asked in yielded.asked])
        if not isinstance(yielded, Asked):
            return await self.timer(yielded)
        result = await self.outcome(yielded)
        self.done.append(yielded.name)
        return result

    async def tried(self, asked: Asked) -> Any:
        """Run a step of a compound as it is registered; the host does not repeat it."""
        result = await never_raises(self.steps[asked.name])(asked.given)
        self.done.append(asked.name)
        return result

    async def outcome(self, asked: Asked) -> Any:
        """Return what the step gives, or the failure of its last try: the host repeats it whatever it raises."""
        failure = Exception("no try")
        for _ in range(STEP_TRIES):
            try:
                return await self.steps[asked.name](asked.given)
            except Exception as error:  # noqa: BLE001 - whatever a step raises fails its task
                failure = Exception(str(error))
        return failure

    async def timer(self, alarms: Sequence[Alarm]) -> int:
        """Let the timer fire, when it was to fire at first; return its place among the alarms."""
        place = next(index for index, alarm in enumerate(alarms) if alarm.at)
        asked_for = alarms[place].at
        fire_at = self.alarms.setdefault(len(self.history), asked_for.timestamp() if asked_for else 0.0)
        await self.clock.sleep(max(0.0, fire_at - self.clock.now()))
        return place


async def at_once(steps: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Run steps beside each other; where the process dies in one, it dies in all."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def chosen(result: Any, yielded: Any) -> Any:
    """Return the alarm of a race, which each replay makes anew, or the step's result."""
    return result if isinstance(yielded, Asked | Together) else yielded[result]


class FakeOrchestrations:
    """Records what was started and signalled; `running` holds the instances that the host reports as running."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.woken: list[str] = []
        self.announced: list[str] = []
        self.running: set[str] = set()

    async def start(self, response: Response) -> None:
        await asyncio.sleep(0)
        self.started.append(response.id)

    async def start_delivery(self, delivery: WebhookDelivery) -> None:
        await asyncio.sleep(0)
        self.announced.append(f"{delivery.response} {delivery.endpoint}")

    async def signal_cancelled(self, response_id: str) -> None:
        await asyncio.sleep(0)
        self.woken.append(response_id)

    async def is_running(self, instance_id: str) -> bool:
        await asyncio.sleep(0)
        return instance_id in self.running
