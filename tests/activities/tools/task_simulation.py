"""How do calls behave that their server runs as tasks, when processes die, sleep and are replaced, in virtual time?

The histories are those of `call_simulation`, with a server that answers most calls with a task. The orchestration waits
for a task's next look, or is woken by a cancel; it looks until the call has ended.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, override

from clients.tools.port import CallFailure, TaskStatus, ToolAnswer, ToolError, ToolRequest, ToolTask
from domain.tools.catalog import ServerTool
from state.turns.tool_calls import ToolCalls
from tests.activities.tools.call_simulation import OneCall, Parts, SimulatedServer, Simulation
from tests.fakes.histories import judged
from tests.fakes.worlds import OWNER

LEAST_WAIT_S = 0.5
LATE_S = 1200.0
"""The task of a deleted turn is looked at by then: looks are ten minutes apart, and a process may sleep before one."""


@dataclass(slots=True)
class SimulatedTask:
    """A task of the server: its work, how often it was to be cancelled, and whether the server has forgotten it.

    `ends_at` is when its work ends by itself.
    """

    id: str
    item: str
    ends_at: float
    work: asyncio.Task[None]
    cancels: int = 0
    is_lost: bool = False

    @property
    def status(self) -> TaskStatus:
        if self.is_lost:
            return TaskStatus.LOST
        if not self.work.done():
            return TaskStatus.WORKING
        return TaskStatus.CANCELLED if self.work.cancelled() else TaskStatus.COMPLETED


@dataclass(slots=True)
class TaskServer(SimulatedServer):
    """Runs most calls as tasks. It may lose what it is told and what it says, or forget a task."""

    tasks: dict[str, SimulatedTask] = field(default_factory=dict[str, SimulatedTask])
    keeps_keys: bool = False

    @override
    async def call(self, item: str, tool: ServerTool, key: str) -> ToolAnswer:
        if self.random.random() < 0.2:
            return await SimulatedServer.call(self, item, tool, key)
        kind = "fine" if self.is_reliable else self.random.choice(["fine"] * 8 + ["refused", "lost", "cut"])
        if kind == "refused":
            raise ToolError(CallFailure.NOT_SENT, "The call was not sent.")
        self.arrived[item] += 1
        if kind == "lost":
            raise ToolError(CallFailure.NO_ANSWER, "The server gave no answer.")
        task = self.begun(item, tool, key)
        await self.clock.sleep(self.random.choice([0.01, 0.3, 2.0]))
        if kind == "cut":
            raise ToolError(CallFailure.NO_ANSWER, "The server gave no answer.")
        ttl_s = None if self.is_reliable else self.random.choice([None, None, 30.0])
        return ToolAnswer(
            status=200, text="", task=ToolTask(id=task.id, poll_s=self.random.choice([0.0, 1.0, 5.0]), ttl_s=ttl_s)
        )

    def begun(self, item: str, tool: ServerTool, key: str) -> SimulatedTask:
        """Begin a task. A server may know the task of a key."""
        known = [each for each in self.tasks.values() if each.item == item]
        if tool.key and known and self.keeps_keys:
            return known[0]
        lasts_s = self.random.choice([0.2, 5.0, 60.0] if self.is_reliable else [0.2, 5.0, 60.0, 600.0, 4000.0])
        lasts_s *= self.random.random()
        work = asyncio.create_task(self.work(item, tool, key, lasts_s))
        task = SimulatedTask(id=f"t{len(self.tasks)}", item=item, ends_at=self.clock.now() + lasts_s, work=work)
        self.tasks[task.id] = task
        return task

    async def told(self, request: ToolRequest) -> ToolAnswer:
        """Say how far a task is, or cancel it: some are cancelled, and some go on."""
        task = self.tasks[request.task]
        task.cancels += request.cancels
        if not self.is_reliable and self.random.random() < 0.2:
            raise ToolError(CallFailure.NO_ANSWER, "The server gave no answer.")
        if not self.is_reliable and self.random.random() < 0.02:
            task.is_lost = True
        if request.cancels and self.random.random() < 0.7:
            task.work.cancel()
        await self.clock.sleep(self.random.choice([0.01, 0.3, 20.0]) * self.random.random())
        if task.status is TaskStatus.COMPLETED:
            return ToolAnswer(status=200, text="done")
        return ToolAnswer(status=200, text="", task=ToolTask(id=task.id, status=task.status))


@dataclass(slots=True)
class OneTask(OneCall):
    """Tells the server also what is asked about its tasks. `named` are those that it was told of."""

    tasks: TaskServer = field(kw_only=True)
    named: set[str] = field(default_factory=set[str])

    @override
    async def call(self, request: ToolRequest) -> ToolAnswer:
        if request.task:
            return await self.tasks.told(request)
        answer = await OneCall.call(self, request)
        self.named |= {answer.task.id} if answer.task else set()
        return answer


@dataclass(slots=True)
class TaskSimulation(Simulation):
    """One history of calls whose server may run them as tasks."""

    tasks: TaskServer = field(init=False)
    hears: bool = False
    lines: dict[Any, OneTask] = field(default_factory=dict[Any, OneTask])
    known: set[str] = field(default_factory=set[str])
    deleted_at: float = 0.0

    @override
    def __post_init__(self) -> None:
        Simulation.__post_init__(self)
        self.tasks = TaskServer(self.random, self.clock, is_reliable=self.server.is_reliable)
        self.tasks.keeps_keys = self.random.random() < 0.5
        self.hears = self.random.random() < 0.5
        self.server = self.tasks

    @override
    def connected(self, item: str) -> OneCall:
        line = OneTask(self.server, self.has_outcome, item, tasks=self.tasks)
        self.lines[asyncio.current_task()] = line
        return line

    @override
    async def run(self) -> None:
        await Simulation.run(self)
        await asyncio.gather(*(each.work for each in self.tasks.tasks.values()), return_exceptions=True)

    @override
    async def delivered(self, item: str, kills: float) -> None:
        """Look at a task until its call has ended. The look after a cancel comes at once, or its event is lost."""
        while True:
            await Simulation.delivered(self, item, kills)
            if self.returned[item][-1] != "running":
                return
            self.returned[item].pop()
            until = max(self.clock.now() + LEAST_WAIT_S, self.look_at[item])
            while self.clock.now() < until and not (self.hears and self.has_ended):
                await self.clock.sleep(min(1.0, until - self.clock.now()))

    @override
    async def delivery(self, item: str, *, kills: float, faulty: bool) -> str:
        outcome = await Simulation.delivery(self, item, kills=kills, faulty=faulty)
        self.known |= self.lines[asyncio.current_task()].named if outcome else set()
        return outcome

    @override
    async def end(self) -> None:
        await Simulation.end(self)
        self.deleted_at = self.clock.now()

    @override
    async def judge(self) -> None:
        await Simulation.judge(self)
        await self.judge_tasks()

    async def judge_tasks(self) -> None:
        """No task is left alone that a run was told of which has not died."""
        if self.ends == "delete":
            late = [each for each in self.known if self.tasks.tasks[each].ends_at > self.deleted_at + LATE_S]
            assert not (alone := [each for each in late if not self.is_over(self.tasks.tasks[each])]), alone
            return
        records = await ToolCalls(self.store, self.clock).of_response(OWNER, self.response.id)
        asked = [each for each in records if each.outcome and each.outcome.output is not None]
        followed = {each.task.id for each in asked if each.task}
        alone = [each for each in self.known - followed if not self.is_over(self.tasks.tasks[each])]
        assert not alone, f"tasks were left alone: {alone}"

    def is_over(self, task: SimulatedTask) -> bool:
        return bool(task.cancels) or task.is_lost


def simulate_tasks(seed: int, parts: Parts | None = None) -> TaskSimulation:
    """Run and judge one history. Raises AssertionError where a rule is broken; its note names the seed."""
    return judged(TaskSimulation(seed, parts or Parts()))
