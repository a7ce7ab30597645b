"""Who runs timer functions, on their schedule or on demand?"""

import asyncio
import json
from collections.abc import Callable
from uuid import uuid4

from devhost.app.catalog import Catalog, Function
from devhost.clock import now
from devhost.console import say
from devhost.engine.background_tasks import BackgroundTasks
from devhost.engine.storage.database import StorageThread
from devhost.engine.storage.store import TaskHubStore
from devhost.protocol_v1.times import wire_time
from devhost.supervisor.messages import Answer, Invocation, Raised, TimedOutError, WorkerLostError
from devhost.supervisor.supervisor import Supervisor
from devhost.supervisor.tracing import next_trace
from devhost.timers.ncrontab import Schedule, schedule_from_text
from devhost.timers.schedule_status import Occurrence, read_occurrence, write_occurrence

LONGEST_SLEEP_S = 30.0
NEVER = "0001-01-01T00:00:00"


class UnknownFunctionError(Exception):
    """No function of this name runs on a timer."""


def schedule_of(function: Function) -> Schedule:
    """Raises BadScheduleError, also for a schedule that never comes."""
    found = schedule_from_text(str(function.trigger["schedule"]))
    found.after(now())
    return found


def timer_value(occurrence: Occurrence | None, *, past_due: bool) -> str:
    """The JSON that a timer function receives."""
    status = {
        "Last": wire_time(occurrence.last) if occurrence and occurrence.last else NEVER,
        "Next": wire_time(occurrence.next) if occurrence else NEVER,
        "LastUpdated": wire_time(occurrence.updated) if occurrence else NEVER,
    }
    return json.dumps({"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": past_due})


class TimerFunctions:
    def __init__(
        self,
        *,
        supervisor: Supervisor,
        catalog: Callable[[], Catalog],
        storage: StorageThread,
        store: TaskHubStore,
        tasks: BackgroundTasks,
    ) -> None:
        self.supervisor = supervisor
        self.catalog = catalog
        self.storage = storage
        self.store = store
        self.tasks = tasks
        self.busy: dict[str, asyncio.Lock] = {}

    def start(self) -> None:
        for function in self.catalog().of_type("timerTrigger"):
            self.tasks.spawn(self.keep(function, schedule_of(function)))

    async def keep(self, function: Function, schedule: Schedule) -> None:
        """One function's runs for ever. A run that was missed while the host was down is made up for once."""
        occurrence = await self.storage.run(read_occurrence, self.store, function.name)
        past_due = occurrence is not None and occurrence.next <= now()
        if past_due or function.trigger.get("runOnStartup"):
            await self.run_to_end(function, occurrence, past_due=past_due)
            occurrence = await self.record(function, schedule, occurrence, ran=True)
        elif occurrence is None or occurrence.next > schedule.after(now()):
            occurrence = await self.record(function, schedule, occurrence, ran=False)
        while True:
            await self.sleep_until(occurrence.next)
            await self.run_to_end(function, occurrence, past_due=False)
            occurrence = await self.record(function, schedule, occurrence, ran=True)

    @staticmethod
    async def sleep_until(at: float) -> None:
        while (left := at - now()) > 0:  # noqa: ASYNC110 - the clock may be set while it waits
            await asyncio.sleep(min(left, LONGEST_SLEEP_S))

    async def record(
        self, function: Function, schedule: Schedule, before: Occurrence | None, *, ran: bool
    ) -> Occurrence:
        at = now()
        last = at if ran else (before.last if before else None)
        occurrence = Occurrence(last=last, next=schedule.after(at), updated=at)
        await self.storage.run(write_occurrence, self.store, function.name, occurrence)
        return occurrence

    async def run_to_end(self, function: Function, occurrence: Occurrence | None, *, past_due: bool) -> None:
        """A run that is lost with its worker is made again."""
        while True:
            try:
                await self.run(function, occurrence, past_due=past_due)
            except WorkerLostError:
                past_due = True
            else:
                return

    async def run(self, function: Function, occurrence: Occurrence | None, *, past_due: bool) -> Answer:
        """Never twice at a time. Raises WorkerLostError."""
        invocation = Invocation(
            id=str(uuid4()),
            function_id=function.id,
            what=f"timer {function.name}",
            type="json",
            trace=next_trace(None),
            body=timer_value(occurrence, past_due=past_due).encode(),
        )
        async with self.busy.setdefault(function.name, asyncio.Lock()):
            try:
                answer = await self.supervisor.invoke(invocation)
            except TimedOutError:
                return Raised(message="Timeout", stack="")
        if isinstance(answer, Raised):
            say(f"timer {function.name} failed: {answer.message}\n{answer.stack}")
        return answer

    def find(self, name: str) -> Function:
        """Raises UnknownFunctionError."""
        for function in self.catalog().of_type("timerTrigger"):
            if function.name.lower() == name.lower():
                return function
        raise UnknownFunctionError(name)

    async def run_now(self, function: Function) -> Answer:
        """Raises WorkerLostError."""
        occurrence = await self.storage.run(read_occurrence, self.store, function.name)
        return await self.run(function, occurrence, past_due=False)
