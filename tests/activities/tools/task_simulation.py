"""How do calls behave that their server runs as tasks, when processes die, sleep and are replaced, in virtual time?

As in `call_simulation`; but the server goes on with each call after its answer, which is the id of a task. It may
lose a question about a task, or the request to cancel it.
"""

import asyncio
from dataclasses import dataclass, field
from typing import override

from clients.tools.port import CallFailure, TaskStatus, ToolAnswer, ToolError, ToolRequest, ToolTask
from domain.tools.catalog import ServerTool
from tests.activities.tools.call_simulation import OneCall, Parts, SimulatedServer, Simulation
from tests.fakes.histories import judged

SECONDS = (0.3, 4.0, 30.0, 400.0)
LOOKS_S = (0.5, 8.0, 40.0)
SOON_S = 120.0
"""After the end of a turn its task is cancelled by then: the host looks at it every `LOOKS_S`, and a write has 10 s."""


@dataclass(slots=True, kw_only=True)
class RunningTask:
    item: str
    done_at: float
    is_done: bool = False
    is_cancelled: bool = False


@dataclass(slots=True)
class TaskServer(SimulatedServer):
    """Runs every call as a task."""

    tasks: dict[str, RunningTask] = field(default_factory=dict[str, RunningTask])
    has_lost_a_cancel: bool = False

    @override
    async def call(self, item: str, tool: ServerTool, key: str) -> ToolAnswer:
        """Begin a task; it goes on where the caller dies. Raises ToolError."""
        kind = "fine" if self.is_reliable else self.random.choice(["fine"] * 6 + ["refused", "lost", "cut"])
        if kind == "refused":
            raise ToolError(CallFailure.NOT_SENT, "The call was not sent.")
        self.arrived[item] += 1
        if kind == "lost":
            raise ToolError(CallFailure.NO_ANSWER, "The server gave no answer.")
        seconds, name = self.random.choice(SECONDS), f"task-{len(self.tasks)}"
        self.tasks[name] = RunningTask(item=item, done_at=self.clock.now() + seconds)
        self.working.add(asyncio.create_task(self.run_task(self.tasks[name], tool, key, seconds)))
        await self.clock.sleep(0.01)
        if kind == "cut":
            raise ToolError(CallFailure.NO_ANSWER, "The server gave no answer.")
        return ToolAnswer(status=200, text="", task=ToolTask(id=name, poll_s=0.5))

    async def run_task(self, task: RunningTask, tool: ServerTool, key: str, seconds: float) -> None:
        await self.clock.sleep(seconds)
        if not task.is_cancelled:
            await self.work(task.item, tool, key, 0.0)
            task.is_done = True

    async def about(self, name: str, *, cancels: bool) -> ToolAnswer:
        """Say how far a task is, or cancel it. Raises ToolError where the request was lost."""
        await self.clock.sleep(0.01)
        if not self.is_reliable and self.random.random() < 0.2:
            self.has_lost_a_cancel |= cancels
            raise ToolError(CallFailure.NO_ANSWER, "The server gave no answer.")
        task = self.tasks[name]
        task.is_cancelled |= cancels and not task.is_done
        if task.is_done:
            return ToolAnswer(status=200, text="done")
        status = TaskStatus.CANCELLED if task.is_cancelled else TaskStatus.WORKING
        return ToolAnswer(status=200, text="", task=ToolTask(id=name, status=status, poll_s=0.5))


@dataclass(slots=True)
class OneTask(OneCall):
    """Tells requests about tasks from calls."""

    @override
    async def call(self, request: ToolRequest) -> ToolAnswer:
        if request.task and isinstance(self.server, TaskServer):
            return await self.server.about(request.task, cancels=request.cancels)
        return await OneCall.call(self, request)


@dataclass(slots=True)
class TaskSimulation(Simulation):
    """One history."""

    ended_at: float = 0.0

    @override
    def __post_init__(self) -> None:
        Simulation.__post_init__(self)
        self.server = TaskServer(self.random, self.clock, is_reliable=self.server.is_reliable)
        self.connector = OneTask(self.server, self.has_outcome)

    @override
    async def delivery(self, item: str, *, kills: float, faulty: bool) -> str:
        """Run one delivery, and look at the task as the orchestration does until it has ended."""
        outcome = await Simulation.delivery(self, item, kills=kills, faulty=faulty)
        while outcome == "running":
            await self.clock.sleep(self.random.choice(LOOKS_S))
            outcome = await Simulation.delivery(self, item, kills=kills, faulty=faulty)
        return outcome

    @override
    async def end(self) -> None:
        await Simulation.end(self)
        self.ended_at = self.clock.now()

    @override
    async def judge(self) -> None:
        await Simulation.judge(self)
        assert isinstance(self.server, TaskServer)
        is_disturbed = self.kills or self.rate or self.sleeps or self.server.has_lost_a_cancel
        if self.ends and not is_disturbed and not self.has_lost_a_task():
            left = [each for each in self.server.tasks.values() if self.is_left(each)]
            assert not left, f"tasks went on after the end of their turn: {left}"

    def has_lost_a_task(self) -> bool:
        """Tell whether an id of a task was lost on its way, or a call has begun two tasks."""
        assert isinstance(self.server, TaskServer)
        return len(self.server.tasks) < sum(self.server.arrived.values()) or len(self.server.tasks) > len(self.tools)

    def is_left(self, task: RunningTask) -> bool:
        return task.is_done and task.done_at > self.ended_at + SOON_S


def simulate(seed: int, parts: Parts | None = None) -> TaskSimulation:
    """Run and judge one history. Raises AssertionError where a rule is broken; its note names the seed."""
    return judged(TaskSimulation(seed, parts or Parts()))
