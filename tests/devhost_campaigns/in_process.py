"""How does the engine call an app through the real SDK in one process, with injected faults?"""

import asyncio
import importlib.util
import inspect
import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, override

from devhost.app.catalog import FunctionCatalog, catalog_from_worker
from devhost.engine.storage.database import StorageThread
from devhost.engine.storage.outage import call
from devhost.supervisor.launcher import WorkerCommand
from devhost.supervisor.messages import (
    FunctionRaised,
    FunctionReturned,
    IndexedFunction,
    Invocation,
    InvocationResult,
    TraceContext,
    WorkerLostError,
    WorkerReady,
)
from devhost.supervisor.process import WorkerProcess
from devhost.supervisor.supervisor import Supervisor, WorkerObserver

APP = Path(__file__).parent / "apps" / "programs"


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The functions of an app as the SDK wraps them, by their id."""

    catalog: FunctionCatalog
    functions: Mapping[str, Callable[[Any], Any]]


@cache
def load(folder: Path = APP) -> App:
    spec = importlib.util.spec_from_file_location(f"played_{folder.name}", folder / "function_app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: list[Any] = module.app.get_functions()
    indexed = tuple(indexed_from_sdk(one) for one in found)
    return App(
        catalog=catalog_from_worker(WorkerReady(functions=indexed, http=None)),
        functions={one.get_function_name(): one.get_user_function() for one in found},
    )


def indexed_from_sdk(function: Any) -> IndexedFunction:
    name = function.get_function_name()
    return IndexedFunction(name=name, id=name, bindings=tuple(json.loads(text) for text in function.get_raw_bindings()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The probability that an invocation is lost, before or after it ran, and its maximum delay in seconds."""

    lost: float = 0.05
    longest_s: float = 0.003


class InProcessWorker(Supervisor):
    """Answers like a worker, with delays and losses."""

    def __init__(self, app: App, random: Random, troubles: Faults) -> None:
        watch = WorkerObserver(started=lambda _: None, ready=lambda _, __: None, lost=lambda: None)
        super().__init__(command=WorkerCommand(app=APP, environment={}), client="", observer=watch, timeout=None)
        self.app = app
        self.random = random
        self.faults = troubles

    @override
    async def wait_for_worker(self, timeout_s: float | None) -> WorkerProcess:
        return WorkerProcess()

    @override
    async def invoke(self, invocation: Invocation, process: WorkerProcess | None = None) -> InvocationResult:
        await self.delay_or_lose(invocation)
        answer = await self.answer(invocation)
        await self.delay_or_lose(invocation)
        return answer

    async def delay_or_lose(self, invocation: Invocation) -> None:
        await asyncio.sleep(self.random.uniform(0, self.faults.longest_s))
        if self.random.random() < self.faults.lost:
            raise WorkerLostError(invocation.description)

    async def answer(self, invocation: Invocation) -> InvocationResult:
        function = self.app.functions[invocation.function_id]
        try:
            return FunctionReturned(type="json", body=(await self.run(function, invocation)).encode())
        except Exception as error:  # noqa: BLE001 - whatever an app raises is an answer
            return FunctionRaised(message=f"{type(error).__name__}: {error}", stack=traceback.format_exc())

    async def run(self, function: Callable[[Any], Any], invocation: Invocation) -> str:
        """Activities take values, orchestrators and entities the text of their context."""
        text = invocation.body.decode()
        if not inspect.iscoroutinefunction(function):
            return function(text)
        return json.dumps(await function(json.loads(text)))


class InlineStorage(StorageThread):
    """Touches the database at once, so that a seed decides what comes first."""

    @override
    async def run[**P, T](self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await asyncio.sleep(0)
        return call(lambda: step(*args, **kwargs))


NO_TRACE = TraceContext(parent="")
