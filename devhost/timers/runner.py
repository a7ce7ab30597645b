"""How do timer functions run, on their schedule or on request?"""

import asyncio
import json
from collections.abc import Callable
from uuid import uuid4

from devhost.app.catalog import FunctionCatalog, FunctionMetadata
from devhost.clock import now
from devhost.console import log_line
from devhost.engine.background_tasks import BackgroundTasks
from devhost.engine.storage.database import StorageThread
from devhost.engine.storage.store import TaskHubStore
from devhost.protocol_v1.times import wire_time
from devhost.supervisor.messages import (
    FunctionRaised,
    FunctionTimeoutError,
    Invocation,
    InvocationResult,
    WorkerLostError,
)
from devhost.supervisor.supervisor import Supervisor
from devhost.supervisor.tracing import next_span
from devhost.timers.ncrontab import NcrontabSchedule, schedule_from_text
from devhost.timers.schedule_status import ScheduleStatus, read_schedule_status, write_schedule_status

MAX_SLEEP_S = 30.0
NEVER_RUN = "0001-01-01T00:00:00"


class UnknownTimerFunctionError(Exception):
    """No timer function has this name."""


def schedule_of(function: FunctionMetadata) -> NcrontabSchedule:
    """Raises InvalidScheduleError, also for a schedule that never occurs."""
    found = schedule_from_text(str(function.trigger["schedule"]))
    found.next_after(now())
    return found


def timer_value(occurrence: ScheduleStatus | None, *, past_due: bool) -> str:
    """The JSON that a timer function receives."""
    status = {
        "Last": wire_time(occurrence.last) if occurrence and occurrence.last else NEVER_RUN,
        "Next": wire_time(occurrence.next) if occurrence else NEVER_RUN,
        "LastUpdated": wire_time(occurrence.updated) if occurrence else NEVER_RUN,
    }
    return json.dumps({"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": past_due})


class TimerFunctions:
    def __init__(
        self,
        *,
        supervisor: Supervisor,
        catalog: Callable[[], FunctionCatalog],
        storage: StorageThread,
        store: TaskHubStore,
        tasks: BackgroundTasks,
    ) -> None:
        self.supervisor = supervisor
        self.catalog = catalog
        self.storage = storage
        self.store = store
        self.tasks = tasks
        self.locks: dict[str, asyncio.Lock] = {}

    def start(self) -> None:
        for function in self.catalog().of_type("timerTrigger"):
            self.tasks.spawn(self.run_forever(function, schedule_of(function)))

    async def run_forever(self, function: FunctionMetadata, schedule: NcrontabSchedule) -> None:
        """Runs one function on its schedule. A run that the host missed while it was stopped is made up once."""
        occurrence = await self.storage.persist(read_schedule_status, self.store, function.name)
        past_due = occurrence is not None and occurrence.next <= now()
        if past_due or function.trigger.get("runOnStartup"):
            await self.run_until_completed(function, occurrence, past_due=past_due)
            occurrence = await self.record(function, schedule, occurrence, ran=True)
        elif occurrence is None or occurrence.next > schedule.next_after(now()):
            occurrence = await self.record(function, schedule, occurrence, ran=False)
        while True:
            await self.sleep_until(occurrence.next)
            await self.run_until_completed(function, occurrence, past_due=False)
            occurrence = await self.record(function, schedule, occurrence, ran=True)

    @staticmethod
    async def sleep_until(at: float) -> None:
        while (left := at - now()) > 0:  # noqa: ASYNC110 - the clock may be set while it waits
            await asyncio.sleep(min(left, MAX_SLEEP_S))

    async def record(
        self, function: FunctionMetadata, schedule: NcrontabSchedule, before: ScheduleStatus | None, *, ran: bool
    ) -> ScheduleStatus:
        at = now()
        last = at if ran else (before.last if before else None)
        occurrence = ScheduleStatus(last=last, next=schedule.next_after(at), updated=at)
        await self.storage.persist(write_schedule_status, self.store, function.name, occurrence)
        return occurrence

    async def run_until_completed(
        self, function: FunctionMetadata, occurrence: ScheduleStatus | None, *, past_due: bool
    ) -> None:
        """Repeats a run during which the worker died."""
        while True:
            try:
                await self.run(function, occurrence, past_due=past_due)
            except WorkerLostError:
                past_due = True
            else:
                return

    async def run(
        self, function: FunctionMetadata, occurrence: ScheduleStatus | None, *, past_due: bool
    ) -> InvocationResult:
        """Runs of one function never overlap. Raises WorkerLostError."""
        invocation = Invocation(
            id=str(uuid4()),
            function_id=function.id,
            description=f"timer {function.name}",
            type="json",
            trace=next_span(None),
            body=timer_value(occurrence, past_due=past_due).encode(),
        )
        async with self.locks.setdefault(function.name, asyncio.Lock()):
            try:
                result = await self.supervisor.invoke(invocation)
            except FunctionTimeoutError:
                return FunctionRaised(message="Timeout", stack="")
        if isinstance(result, FunctionRaised):
            log_line(f"timer {function.name} failed: {result.message}\n{result.stack}")
        return result

    def find(self, name: str) -> FunctionMetadata:
        """Raises UnknownTimerFunctionError."""
        for function in self.catalog().of_type("timerTrigger"):
            if function.name.lower() == name.lower():
                return function
        raise UnknownTimerFunctionError(name)

    async def run_now(self, function: FunctionMetadata) -> InvocationResult:
        """Raises WorkerLostError."""
        occurrence = await self.storage.run(read_schedule_status, self.store, function.name)
        return await self.run(function, occurrence, past_due=False)
