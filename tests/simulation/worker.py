"""How do the product's functions run in worker processes that crash, and lose requests and answers?"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, cast, override

import azure.durable_functions as df
from starlette.types import ASGIApp

from activities.guard import as_activity
from devhost.app.catalog import FunctionCatalog, catalog_from_worker
from devhost.supervisor.messages import IndexedFunction, Invocation, InvocationResult, WorkerLostError, WorkerReady
from devhost.supervisor.process import WorkerProcess
from domain import wire
from orchestrators.respond import respond
from tests.api.harness import web_app
from tests.devhost_campaigns.in_process import App, Faults, InProcessWorker
from tests.fakes.clocks import LoopClock
from tests.fakes.stores import CrashError
from tests.fakes.worlds import World
from tests.simulation.stopping import StoppableStore
from tests.simulation.web import ConnectionLostError, Exchange

LONGEST_STOP_S = 90.0


def catalog_of(names: Mapping[str, Any]) -> FunctionCatalog:
    """The product's orchestration and activities, as the worker indexes them."""
    orchestration = {"type": "orchestrationTrigger", "name": "context", "direction": "IN"}
    activity = {"type": "activityTrigger", "name": "request", "direction": "IN"}
    indexed = [IndexedFunction(name=wire.RESPOND, id=wire.RESPOND, bindings=(orchestration,))]
    indexed += [IndexedFunction(name=name, id=name, bindings=(activity,)) for name in names]
    return catalog_from_worker(WorkerReady(functions=tuple(indexed), http=None))


def app_of(world: World[Any]) -> App:
    functions: dict[str, Callable[[Any], Any]] = {wire.RESPOND: df.Orchestrator.create(cast("Any", respond))}
    functions |= {name: as_activity(name, step, world.clock) for name, step in world.steps.items()}
    return App(catalog=catalog_of(world.steps), functions=functions)


@dataclass(slots=True)
class Process:
    """One worker process.

    When it dies, everything that it runs is lost. A stopped one is given up too, but it wakes, and its steps go on.
    """

    app: App
    web: ASGIApp
    store: StoppableStore
    died: asyncio.Future[None]
    is_stopped: bool = False


class ProductWorker(InProcessWorker):
    """Starts a new process, with a world of its own, where one died or stopped.

    `crashes` and `stops` are the probabilities that a call kills or stops its process.
    """

    def __init__(
        self, new_world: Callable[[], World[Any]], random: Random, faults: Faults, *, crashes: float, stops: float
    ) -> None:
        self.new_world = new_world
        self.crash_rate = crashes
        self.stop_rate = stops
        self.zombies: set[asyncio.Future[Any]] = set()
        self.counts: Counter[str] = Counter()
        self.current = self.new_process()
        super().__init__(self.current.app, random, faults)

    def new_process(self) -> Process:
        world = self.new_world()
        assert isinstance(world.store, StoppableStore)
        return Process(app_of(world), web_app(world), world.store, asyncio.get_running_loop().create_future())

    @override
    async def wait_for_worker(self, timeout_s: float | None) -> WorkerProcess:
        return WorkerProcess()

    @override
    async def invoke(self, invocation: Invocation, process: WorkerProcess | None = None) -> InvocationResult:
        await self.delay_or_lose(invocation)
        own = self.current
        self.endanger(own)
        answer = await self.until_death(own, invocation)
        await self.delay_or_lose(invocation)
        return answer

    def endanger(self, own: Process) -> None:
        """Sometimes kill or stop the process, a little later."""
        for rate, end in ((self.crash_rate, self.die), (self.stop_rate, self.suspend)):
            if self.random.random() < rate:
                asyncio.get_running_loop().call_later(self.random.uniform(0, 2.0), end, own)

    async def serve(self, exchange: Exchange) -> None:
        """Answer a request in the current process. Raises ConnectionLostError where the caller gets no whole answer."""
        await self.delay_or_lose_connection()
        own = self.current
        if exchange.request.method == "POST":
            self.endanger(own)
        running = asyncio.ensure_future(exchange.run(own.web))
        waits: set[asyncio.Future[Any]] = {running, own.died}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            exchange.is_lost = True
            self.zombies.add(running)
            if not own.is_stopped:
                running.cancel()
            raise ConnectionLostError
        if running.exception() is not None and own.store.crashed:
            self.die(own)
            raise ConnectionLostError
        running.result()
        await self.delay_or_lose_connection()

    async def delay_or_lose_connection(self) -> None:
        await asyncio.sleep(self.random.uniform(0, self.faults.longest_s))
        if self.random.random() < self.faults.lost:
            self.counts["lost requests and answers"] += 1
            raise ConnectionLostError

    async def until_death(self, own: Process, invocation: Invocation) -> InvocationResult:
        self.app = own.app
        running = asyncio.ensure_future(self.answer(invocation))
        waits: set[asyncio.Future[Any]] = {running, own.died}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if running.done() and isinstance(running.exception(), CrashError):
            self.die(own)
        if own.died.done() and own.is_stopped and not running.done():
            self.zombies.add(running)
            raise WorkerLostError(invocation.description)
        if own.died.done():
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            raise WorkerLostError(invocation.description)
        return running.result()

    def die(self, own: Process) -> None:
        if not own.died.done():
            self.counts["worker crashes"] += 1
            self.replace(own)

    def suspend(self, own: Process) -> None:
        """Stop a process for longer than the host waits for it."""
        if not own.died.done():
            self.counts["stopped workers"] += 1
            own.is_stopped = True
            own.store.wakes_at = LoopClock().now() + self.random.uniform(0, LONGEST_STOP_S)
            self.replace(own)

    def replace(self, own: Process) -> None:
        own.died.set_result(None)
        self.current = self.new_process()

    async def all_woken(self) -> None:
        """Wait until the steps of all stopped processes have ended."""
        await asyncio.gather(*self.zombies, return_exceptions=True)

    @override
    async def delay_or_lose(self, invocation: Invocation) -> None:
        try:
            await super().delay_or_lose(invocation)
        except WorkerLostError:
            self.counts["lost messages"] += 1
            raise
