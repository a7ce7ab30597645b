"""How does a GPU service behave whose number of instances is set from outside? Its Admin API can be slow, or refuse."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import override

from clients.backends.port import BackendError
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Failure, FailureKind
from tests.fakes.machines.gpus import Life, SleepingGpu

NO_INSTANCE = Failure(kind=FailureKind.STATUS, status=503, headers={"server": "Google Frontend"}, body="no instance")


def accept(count: int) -> Failure | None:
    """Refuse no count."""
    assert count >= 0, count


@dataclass(slots=True, kw_only=True, eq=False)
class CountedGpu(SleepingGpu):
    """One instance while the count is 1, none while it is 0. Requests start nothing, and idle time ends nothing.

    One that is not counted is a SleepingGpu. `refusal` returns why a count can't be set now. A change to 0 takes
    `change_s` seconds, and `calls` are the counts that were asked for, with the seconds since the loop's start.
    """

    is_counted: bool = True
    change_s: float = 0.0
    refusal: Callable[[int], Failure | None] = accept
    calls: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    count: int = 0

    async def set_count(self, backend: Backend, count: int) -> str:
        """Change the count as the port asks."""
        self.calls.append((self.now, count))
        await asyncio.sleep(0)
        if failure := self.refusal(count):
            raise BackendError(failure)
        if count and self.life is None:
            self.lives.append(Life(started=self.now))
            self.set_timer(self.start_s(), self.ready)
        self.count = count
        return f"{backend.name}/operations/{count}"

    async def wait(self, backend: Backend, operation: str) -> None:
        """End the instance when the operation does."""
        assert operation.startswith(backend.name), operation
        await asyncio.sleep(self.change_s)
        life = self.life
        if self.count == 0 and life:
            life.ended, life.why = self.now, "count"
            self.set_timer(0, None)

    @override
    @asynccontextmanager
    async def request(self) -> AsyncGenerator[None]:
        if self.is_counted and not self.count:
            self.arrivals.append(self.now)
            raise BackendError(NO_INSTANCE)
        async with SleepingGpu.request(self):
            yield

    @override
    def update(self) -> None:
        if not self.is_counted:
            SleepingGpu.update(self)
            return
        while self.is_up and self.waiting and self.busy < self.concurrency:
            admission = self.waiting.popleft()
            if not admission.done():
                self.busy += 1
                admission.set_result(None)
