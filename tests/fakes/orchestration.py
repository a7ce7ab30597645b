"""How does an orchestrator run where no host is?"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from azure.durable_functions import RetryOptions

from clients.clock import Clock
from domain.turns import Response
from orchestrators.respond import respond


@dataclass(frozen=True, slots=True)
class Asked:
    """An activity that an orchestrator yields."""

    name: str
    given: Any


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

    def task_any(self, activities: Sequence[Alarm]) -> Sequence[Alarm]:
        return activities


@dataclass(slots=True)
class Run:
    """One execution of the orchestration of a turn, step by step; `done` lists the steps that ran."""

    clock: Clock
    steps: Mapping[str, Callable[[Any], Awaitable[Any]]]
    done: list[str]

    async def respond(self, given: Any, *, execution: int = 1) -> Any:
        """Run to the end; a failed step is thrown into the orchestrator as the host does."""
        steps = respond(FakeContext(given, self.clock, execution=execution))
        send: Callable[[], Any] = lambda: next(steps)  # noqa: E731 - the first of several ways to go on
        while True:
            try:
                yielded = send()
            except StopIteration as stop:
                return stop.value
            send = await self.answer(yielded, steps)

    async def answer(self, yielded: Any, steps: Any) -> Callable[[], Any]:
        if not isinstance(yielded, Asked):
            winner = await self.first(yielded)
            return lambda: steps.send(winner)
        self.done.append(yielded.name)
        try:
            result = await self.steps[yielded.name](yielded.given)
        except Exception as error:  # noqa: BLE001 - whatever a step raises fails its task
            failure = Exception(str(error))
            return lambda: steps.throw(failure)
        return lambda: steps.send(result)

    async def first(self, alarms: Sequence[Alarm]) -> Alarm:
        timer = next(alarm for alarm in alarms if alarm.at)
        if timer.at:
            await self.clock.sleep(timer.at.timestamp() - self.clock.now())
        return timer


class FakeOrchestrations:
    """Remembers what was started and woken; `running` are those that the host would say are alive."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.woken: list[str] = []
        self.running: set[str] = set()

    async def start(self, response: Response) -> None:
        await asyncio.sleep(0)
        self.started.append(response.id)

    async def wake(self, response_id: str) -> None:
        await asyncio.sleep(0)
        self.woken.append(response_id)

    async def alive(self, response_id: str) -> bool:
        await asyncio.sleep(0)
        return response_id in self.running
