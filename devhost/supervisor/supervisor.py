"""How does the host keep a worker process running, and what do callers do while there is none?"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from devhost.clock import now
from devhost.console import log_line, write
from devhost.supervisor.launcher import LaunchedWorker, WorkerCommand, launch_worker
from devhost.supervisor.messages import (
    AppFailedToLoadError,
    FunctionTimeoutError,
    Invocation,
    InvocationResult,
    WorkerLostError,
    WorkerNotReadyError,
    WorkerReady,
)
from devhost.supervisor.process import WorkerProcess

FIRST_RESTART_DELAY_S = 0.1
MAX_RESTART_DELAY_S = 10.0
STABLE_AFTER_S = 10.0
MAX_FIRST_LOADS = 5
RETIRED_POLL_S = 0.1


def restart_delay_s(quick_exits: int) -> float:
    """Seconds until the next start: none after a worker that lived long, otherwise doubling from 0.1 to 10."""
    return 0.0 if quick_exits <= 1 else min(MAX_RESTART_DELAY_S, FIRST_RESTART_DELAY_S * 2.0 ** (quick_exits - 2))


def running_text(running: list[str]) -> str:
    if not running:
        return "nothing was running"
    return "while running " + ", ".join(f"{n} x {what}" if n > 1 else what for what, n in Counter(running).items())


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerObserver:
    """Callbacks: `started` with the pid of each process, `ready` when it has loaded the app, `lost` when it ends.

    `ready` may raise AppFailedToLoadError to reject the app.
    """

    started: Callable[[int], None]
    ready: Callable[[int, WorkerReady], None]
    lost: Callable[[], None]


class Supervisor:
    """`client` is the JSON that the app's durable clients receive; `timeout` is the longest run of a function."""

    def __init__(self, *, command: WorkerCommand, client: str, observer: WorkerObserver, timeout: float | None) -> None:
        self.command = command
        self.client = client
        self.observer = observer
        self.timeout = timeout
        self.process: WorkerProcess | None = None
        self.retired: list[WorkerProcess] = []
        self.up = asyncio.Event()
        self.exit_handled = asyncio.Event()
        self.replaced = asyncio.Event()
        self.exits = 0

    async def start_first(self, launched: LaunchedWorker) -> WorkerReady:
        """Starts further workers if one dies while it loads the app: it may have been killed from outside.

        Raises AppFailedToLoadError, or WorkerLostError if several died.
        """
        for lost in range(1, MAX_FIRST_LOADS):
            try:
                return await self.start(launched)
            except WorkerLostError:
                log_line("the worker ended while it loaded the app; trying again")
            await asyncio.sleep(restart_delay_s(lost))
            launched = launch_worker(self.command)
        return await self.start(launched)

    async def start(self, launched: LaunchedWorker) -> WorkerReady:
        """Raises AppFailedToLoadError with the app's own traceback, or WorkerLostError."""
        process = WorkerProcess()
        await process.connect(launched, self.client)
        self.process = process
        self.observer.started(process.pid)
        try:
            ready = await process.wait_until_loaded()
            self.observer.ready(process.pid, ready)
        except (AppFailedToLoadError, WorkerLostError):
            await process.stop()
            self.exit_handled.set()
            raise
        self.exit_handled.clear()
        self.up.set()
        return ready

    async def keep_running(self) -> None:
        """Restarts the worker until this task is cancelled."""
        quick_exits = 0
        while True:
            started = now()
            if self.process is not None and self.up.is_set():
                await self.handle_exit(await self.lost_worker(self.process))
            quick_exits = 1 if now() - started > STABLE_AFTER_S else quick_exits + 1
            await asyncio.sleep(restart_delay_s(quick_exits))
            await self.relaunch()

    async def lost_worker(self, process: WorkerProcess) -> WorkerProcess:
        """Waits until the worker in use has ended. An update may replace it, and the old one may work on for long."""
        while not process.lost.is_set():
            self.replaced.clear()
            waits = [asyncio.ensure_future(each.wait()) for each in (process.lost, self.replaced)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waits:
                    each.cancel()
            process = self.process or process
        return process

    async def handle_exit(self, process: WorkerProcess) -> None:
        self.up.clear()
        self.exit_handled.set()
        self.observer.lost()
        self.exits += 1
        code = await process.stop()
        how = f"({exit_text(code)}) {running_text(process.left_running)}"
        log_line(f"worker {process.pid} ended {how}; restart {self.exits}")

    async def relaunch(self) -> None:
        try:
            await self.start(launch_worker(self.command))
        except AppFailedToLoadError as error:
            log_line("the app no longer loads; trying again")
            write(str(error))
        except WorkerLostError:
            log_line("the worker ended while it loaded the app; trying again")

    async def update(self, command: WorkerCommand) -> None:
        """Starts a worker beside the running one, like a rolling update.

        New work goes to it once it has loaded the app, and the old worker ends when its work has ended. If the new one
        does not load, the old one stays.
        """
        old = await self.wait_for_worker(None)
        new = WorkerProcess()
        await new.connect(launch_worker(command), self.client)
        try:
            self.take_over(new, await new.wait_until_loaded(), old)
        except (AppFailedToLoadError, WorkerLostError) as error:
            await new.stop()
            log_line(f"the update failed, and worker {old.pid} stays: {error}")
            return
        self.command = command
        await self.retire(old)

    def take_over(self, new: WorkerProcess, ready: WorkerReady, old: WorkerProcess) -> None:
        if self.process is not old or not self.up.is_set():
            raise WorkerLostError(f"worker {old.pid} ended meanwhile")
        self.observer.ready(new.pid, ready)
        self.process = new
        self.replaced.set()

    async def retire(self, process: WorkerProcess) -> None:
        log_line(f"worker {process.pid} gets no new work")
        self.retired.append(process)
        while process.is_working:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.lost.wait(), RETIRED_POLL_S)
        await process.stop()
        self.retired.remove(process)
        log_line(f"worker {process.pid} has ended its work")

    async def wait_for_worker(self, timeout_s: float | None) -> WorkerProcess:
        """Returns the running worker. Waits up to `timeout_s` seconds; None waits without a limit."""
        while self.process is None or self.process.has_ended or not self.up.is_set():
            try:
                await asyncio.wait_for(self.wait_until_up(), timeout_s)
            except TimeoutError:
                raise WorkerNotReadyError from None
        return self.process

    async def wait_until_up(self) -> None:
        if self.process is not None and self.process.has_ended:
            await self.exit_handled.wait()
        await self.up.wait()

    async def invoke(self, invocation: Invocation, process: WorkerProcess | None = None) -> InvocationResult:
        """Runs an invocation on `process`, or on the current or next worker.

        Raises WorkerLostError or FunctionTimeoutError. An exception of the function is a result.
        """
        process = process or await self.wait_for_worker(None)
        try:
            async with asyncio.timeout(self.timeout):
                return await process.invoke(invocation)
        except TimeoutError:
            log_line(
                f"{invocation.description} ran longer than functionTimeout ({self.timeout:g} s): stopping the worker"
            )
            await process.stop()
            raise FunctionTimeoutError(invocation.description) from None

    def trace_of(self, invocation: str) -> str | None:
        """The trace of a running invocation."""
        return next((trace for each in self.processes if (trace := each.trace_of(invocation))), None)

    @property
    def processes(self) -> list[WorkerProcess]:
        return [*([self.process] if self.process else []), *self.retired]

    async def stop(self) -> None:
        for each in self.processes:
            await each.stop()


def exit_text(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
