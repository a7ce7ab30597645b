"""How does a whole batch run without a host?"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from activities.guard import never_raises
from clients.orchestrations import wire_of_batch
from domain.batches import batch_wire
from domain.batches.batch import Batch
from orchestrators.run_batch import run_batch
from orchestrators.run_lines import run_lines
from tests.fakes.orchestration import ActivityCall, FakeContext, ParallelCalls, TimerOrEvent
from tests.fakes.worlds import World


@dataclass(frozen=True, slots=True)
class ChildCall:
    """A call of another orchestration."""

    name: str
    request: Any
    instance: str


class BatchContext(FakeContext):
    """The fake of a context whose orchestrator has children."""

    def call_sub_orchestrator(self, name: str, input_: Any, instance_id: str) -> ChildCall:
        return ChildCall(name, input_, instance_id)


ORCHESTRATORS: Mapping[str, Callable[..., Any]] = {
    batch_wire.RUN_BATCH: run_batch,
    batch_wire.RUN_LINES: run_lines,
}


@dataclass(slots=True)
class BatchRun:
    """Runs the orchestrations of a batch; `calls` are the steps that ran, `histories` the tasks of each history."""

    world: World[Any]
    calls: list[str] = field(default_factory=list[str])
    histories: list[int] = field(default_factory=list[int])

    async def run(self, batch: Batch) -> Any:
        return await self.orchestrate(batch_wire.RUN_BATCH, wire_of_batch(batch))

    async def orchestrate(self, name: str, request: Any) -> Any:
        """Run an orchestration to its end, in as many histories as it takes."""
        while True:
            context = BatchContext(request, self.world.clock)
            result = await self.history(ORCHESTRATORS[name](context))
            if context.next_request is None:
                return result
            request = context.next_request

    async def history(self, steps: Any) -> Any:
        tasks, yielded = 0, next(steps)
        while True:
            tasks += len(yielded.calls) if isinstance(yielded, ParallelCalls) else 1
            result = await self.result(yielded)
            try:
                yielded = steps.send(result)
            except StopIteration as stop:
                self.histories.append(tasks)
                return stop.value

    async def result(self, yielded: Any) -> Any:
        match yielded:
            case ParallelCalls(calls=calls):
                return list(await asyncio.gather(*(self.in_parallel(each) for each in calls)))
            case ActivityCall():
                return await self.step(yielded)
            case _:
                return await self.wait(yielded)

    async def in_parallel(self, call: ActivityCall | ChildCall) -> Any:
        if isinstance(call, ChildCall):
            return await self.orchestrate(call.name, call.request)
        return await never_raises(lambda request: self.step(ActivityCall(call.name, request)))(call.request)

    async def step(self, call: ActivityCall) -> Any:
        self.calls.append(call.name)
        return await self.world.app.batches.by_name()[call.name](call.request)

    async def wait(self, waits: TimerOrEvent | Sequence[TimerOrEvent]) -> TimerOrEvent:
        """Let the timer fire, and return it; no event comes."""
        timer = next(each for each in ([waits] if isinstance(waits, TimerOrEvent) else waits) if each.at)
        assert timer.at
        await self.world.clock.sleep(max(0.0, timer.at.timestamp() - self.world.clock.now()))
        return timer
