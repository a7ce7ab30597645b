"""How is there always a worker, and what becomes of those who ask while there is none?"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from devhost.clock import now
from devhost.console import say, show
from devhost.supervisor.launcher import Command, Launched, launch
from devhost.supervisor.messages import (
    Answer,
    AppFailedToLoadError,
    Invocation,
    Ready,
    TimedOutError,
    WorkerLostError,
    WorkerNotReadyError,
)
from devhost.supervisor.process import WorkerProcess

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 10.0
SETTLED_S = 10.0


def wait_before_restart(quick_deaths: int) -> float:
    """Seconds before the next start: none after a worker that lived long, then doubling from 0.1 to 10."""
    return 0.0 if quick_deaths <= 1 else min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (quick_deaths - 2))


def running_text(running: list[str]) -> str:
    if not running:
        return "nothing was running"
    return "while running " + ", ".join(f"{n} x {what}" if n > 1 else what for what, n in Counter(running).items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who is told: `started` with the pid of each process, `lost` at its end, `ready` when it has loaded the app.

    `ready` may refuse the app with AppFailedToLoadError.
    """

    started: Callable[[int], None]
    ready: Callable[[int, Ready], None]
    lost: Callable[[], None]


class Supervisor:
    """`client` is the JSON that the app's durable clients receive, `timeout` the longest run of a function."""

    def __init__(self, *, command: Command, client: str, watch: Watch, timeout: float | None) -> None:
        self.command = command
        self.client = client
        self.watch = watch
        self.timeout = timeout
        self.process: WorkerProcess | None = None
        self.up = asyncio.Event()
        self.buried = asyncio.Event()
        self.deaths = 0

    async def start(self, launched: Launched) -> Ready:
        """Raises AppFailedToLoadError with the app's own traceback, or WorkerLostError."""
        process = WorkerProcess()
        await process.adopt(launched, self.client)
        self.process = process
        self.watch.started(process.pid)
        try:
            ready = await process.load()
            self.watch.ready(process.pid, ready)
        except (AppFailedToLoadError, WorkerLostError):
            await process.stop()
            raise
        self.buried.clear()
        self.up.set()
        return ready

    async def keep(self) -> None:
        """Restarts the worker for ever; cancel to end."""
        quick_deaths = 0
        while True:
            born = now()
            if self.process is not None and self.up.is_set():
                await self.bury(self.process)
            quick_deaths = 1 if now() - born > SETTLED_S else quick_deaths + 1
            await asyncio.sleep(wait_before_restart(quick_deaths))
            await self.relaunch()

    async def bury(self, process: WorkerProcess) -> None:
        await process.lost.wait()
        self.up.clear()
        self.buried.set()
        self.watch.lost()
        self.deaths += 1
        code = await process.stop()
        how = f"({end_text(code)}) {running_text(process.left_running)}"
        say(f"worker {process.pid} ended {how}; death {self.deaths}, restarting")

    async def relaunch(self) -> None:
        try:
            await self.start(launch(self.command))
        except AppFailedToLoadError as error:
            say("the app does not load any more; trying again")
            show(str(error))
        except WorkerLostError:
            say("the worker ended while it loaded the app; trying again")

    async def current(self, patience: float | None) -> WorkerProcess:
        """The worker to ask, after at most `patience` seconds (None: as long as it takes)."""
        while self.process is None or self.process.lost.is_set() or not self.up.is_set():
            try:
                await asyncio.wait_for(self.came_up(), patience)
            except TimeoutError:
                raise WorkerNotReadyError from None
        return self.process

    async def came_up(self) -> None:
        if self.process is not None and self.process.lost.is_set():
            await self.buried.wait()
        await self.up.wait()

    async def invoke(self, invocation: Invocation, process: WorkerProcess | None = None) -> Answer:
        """Asks `process`, else whichever worker there is or will be.

        Raises WorkerLostError or TimedOutError; what the function raises is an answer.
        """
        process = process or await self.current(None)
        try:
            async with asyncio.timeout(self.timeout):
                return await process.invoke(invocation)
        except TimeoutError:
            say(f"{invocation.what} ran longer than functionTimeout ({self.timeout:g} s): ending the worker")
            await process.stop()
            raise TimedOutError(invocation.what) from None

    def trace_of(self, invocation: str) -> str | None:
        """The trace of an invocation that runs."""
        return self.process.trace_of(invocation) if self.process else None

    async def stop(self) -> None:
        if self.process is not None:
            await self.process.stop()


def end_text(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
