"""How does a GPU service behave that runs several instances: as many as its count says, or as its traffic needs?"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import override

from clients.backends.port import BackendError
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Failure
from tests.fakes.machines.counted_gpus import NO_INSTANCE, accept
from tests.fakes.machines.gpus import HOLD_STARTS, MIN_HOLD_S, RATE_EXCEEDED, Life, SleepingGpu


@dataclass(slots=True, kw_only=True, eq=False)
class Instance:
    """One machine with its life, its requests, and the timer of its start or of its idle period."""

    life: Life
    busy: int = 0
    timer: asyncio.TimerHandle | None = None

    @property
    def is_up(self) -> bool:
        return self.life.ready is not None


@dataclass(slots=True, kw_only=True, eq=False)
class GpuPool(SleepingGpu):
    """A request runs on the first instance with room.

    One that `is_counted` has as many instances as the count says; a lower count ends the least busy ones, `change_s`
    seconds later. Otherwise the service starts as many as its requests need, and ends each after its idle period.
    """

    is_counted: bool = True
    max_instances: int = 3
    change_s: float = 0.0
    refusal: Callable[[int], Failure | None] = accept
    calls: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    count: int = 0
    instances: list[Instance] = field(default_factory=list[Instance])
    line: deque[asyncio.Future[Instance]] = field(default_factory=deque[asyncio.Future[Instance]])

    @property
    @override
    def life(self) -> Life | None:
        return self.instances[-1].life if self.instances else None

    @property
    @override
    def is_up(self) -> bool:
        return any(each.is_up for each in self.instances)

    async def set_count(self, backend: Backend, count: int) -> str:
        """Change the count as the port asks; a higher one counts at once."""
        self.calls.append((self.now, count))
        await asyncio.sleep(0)
        if failure := self.refusal(count):
            raise BackendError(failure)
        self.count = count
        while len(self.instances) < count:
            self.start()
        return f"{backend.name}/operations/{count}"

    async def wait(self, backend: Backend, operation: str) -> None:
        """Lower the number of instances when the operation ends."""
        assert operation.startswith(backend.name), operation
        await asyncio.sleep(self.change_s)
        for each in sorted(self.instances, key=lambda one: one.busy)[: max(0, len(self.instances) - self.count)]:
            self.stop(each, "count")

    def start(self) -> None:
        one = Instance(life=Life(started=self.now))
        self.lives.append(one.life)
        self.instances.append(one)
        one.timer = asyncio.get_running_loop().call_later(self.start_s(), self.open, one)

    def open(self, one: Instance) -> None:
        one.life.ready, one.timer = self.now, None
        self.update()

    def stop(self, one: Instance, why: str) -> None:
        if one.timer:
            one.timer.cancel()
        self.instances.remove(one)
        one.life.ended, one.life.why = self.now, why

    @override
    @asynccontextmanager
    async def request(self) -> AsyncGenerator[None]:
        self.arrivals.append(self.now)
        if self.is_counted and not self.count:
            raise BackendError(NO_INSTANCE)
        one = await self.admitted_by()
        try:
            yield
        finally:
            self.release(one)

    async def admitted_by(self) -> Instance:
        """Wait in line for an instance, as long as the service lets a request wait."""
        admission: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        self.line.append(admission)
        self.update()
        average_s = self.start_s() if self.average_s is None else self.average_s
        try:
            async with asyncio.timeout(max(HOLD_STARTS * average_s, MIN_HOLD_S)):
                return await admission
        except TimeoutError:
            self.leave_line(admission)
            raise BackendError(RATE_EXCEEDED) from None
        except asyncio.CancelledError:
            self.leave_line(admission)
            raise

    def leave_line(self, admission: asyncio.Future[Instance]) -> None:
        if admission in self.line:
            self.line.remove(admission)
        elif not admission.cancelled():
            self.release(admission.result())

    def release(self, one: Instance) -> None:
        one.busy -= 1
        self.update()

    @override
    def update(self) -> None:
        """Admit requests in their order, start what they need beyond that, and let idle instances end."""
        while self.line and (one := self.free()):
            admission = self.line.popleft()
            if not admission.done():
                one.busy += 1
                admission.set_result(one)
        if self.is_counted:
            return
        needed = -(-(len(self.line) + sum(each.busy for each in self.instances)) // self.concurrency)
        for _ in range(min(needed, self.max_instances) - len(self.instances)):
            self.start()
        for each in self.instances:
            self.watch_idle(each)

    def free(self) -> Instance | None:
        return next((each for each in self.instances if each.is_up and each.busy < self.concurrency), None)

    def watch_idle(self, one: Instance) -> None:
        if not one.is_up:
            return
        if one.busy and one.timer:
            one.timer.cancel()
            one.timer = None
        elif not one.busy and one.timer is None:
            one.timer = asyncio.get_running_loop().call_later(self.idle_s, self.stop, one, "idle")
