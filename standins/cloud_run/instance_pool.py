"""Which instance takes a request, and when do instances start and end?"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from standins.cloud_run.instance_bill import BilledSession, InstanceBill
from standins.cloud_run.launcher import Launcher, wait_for_port, wait_until_ended
from standins.cloud_run.options import CloudRunOptions
from standins.cloud_run.scaling import to_start, to_withdraw
from standins.processes.child_process import ChildProcess, StartError


class StartFailed(Exception):
    """No instance can start: the process of the model ended."""


@dataclass(slots=True, kw_only=True, eq=False)
class PoolInstance:
    """`port` is None until it is ready; `keep_starting` continues a start whose requests timed out."""

    child: ChildProcess
    session: BilledSession
    port: int | None = None
    busy: int = 0
    keep_starting: bool = False
    task: asyncio.Task[None] | None = None
    idle_timer: asyncio.TimerHandle | None = field(default=None)


class InstancePool:
    def __init__(
        self,
        *,
        options: CloudRunOptions,
        launcher: Launcher,
        bill: InstanceBill,
        clock: Callable[[], float],
        draws: random.Random,
    ) -> None:
        self.options = options
        self.launcher = launcher
        self.bill = bill
        self.clock = clock
        self.draws = draws
        self.instances: list[PoolInstance] = []
        self.waiting: deque[asyncio.Future[PoolInstance]] = deque()
        self.ending: set[asyncio.Task[None]] = set()
        self.manual_count = 0 if options.manual else None

    @property
    def busy(self) -> int:
        return sum(instance.busy for instance in self.instances)

    @property
    def starting(self) -> list[PoolInstance]:
        return [instance for instance in self.instances if instance.port is None]

    @property
    def is_full(self) -> bool:
        most = self.options.most_waiting
        return most is not None and len(self.waiting) >= most and self.free() is None

    def free(self) -> PoolInstance | None:
        return next((instance for instance in self.instances if self.has_room(instance)), None)

    def has_room(self, instance: PoolInstance) -> bool:
        return instance.port is not None and instance.busy < self.options.concurrency and instance.child.alive

    async def acquire(self, hold_s: float) -> PoolInstance:
        """Waits at most `hold_s` real seconds for an instance; raises TimeoutError or StartFailed."""
        if self.manual_count == 0:
            raise StartFailed
        waiter = asyncio.get_running_loop().create_future()
        self.waiting.append(waiter)
        self.balance()
        try:
            async with asyncio.timeout(hold_s):
                return await waiter
        except TimeoutError:
            self.leave_queue(waiter)
            for instance in self.starting:
                instance.keep_starting = True
            raise
        except asyncio.CancelledError:
            self.leave_queue(waiter)
            self.withdraw_surplus()
            raise

    def leave_queue(self, waiter: asyncio.Future[PoolInstance]) -> None:
        """Leaves the queue, or releases the instance that was assigned in the same moment."""
        if waiter in self.waiting:
            self.waiting.remove(waiter)
        elif not waiter.cancelled() and waiter.exception() is None:
            self.release(waiter.result())

    def release(self, instance: PoolInstance) -> None:
        instance.busy -= 1
        self.balance()

    def balance(self) -> None:
        """Assigns waiting requests in their order, starts missing instances, and schedules the end of idle ones."""
        while self.waiting and (instance := self.free()) is not None:
            self.assign(self.waiting.popleft(), instance)
        for _ in range(self.missing):
            self.start()
        for instance in self.instances:
            self.schedule_idle_end(instance)

    @property
    def missing(self) -> int:
        """How many instances are to start: as many as the traffic needs, or as the count says."""
        if self.manual_count is not None:
            return max(0, self.manual_count - len(self.instances))
        return to_start(self.options, waiting=len(self.waiting), busy=self.busy, alive=len(self.instances))

    def set_count(self, count: int) -> None:
        """Scales manually from now on: so many instances run, whatever the traffic is; the least busy ones end."""
        self.manual_count = count
        for instance in self.instances:
            if instance.idle_timer is not None:
                instance.idle_timer.cancel()
                instance.idle_timer = None
        for instance in sorted(self.instances, key=lambda one: one.busy)[: max(0, len(self.instances) - count)]:
            self.end_instance(instance, "count")
        if not count:
            self.fail_waiting()
        self.balance()

    def assign(self, waiter: asyncio.Future[PoolInstance], instance: PoolInstance) -> None:
        if waiter.done():
            return
        if instance.idle_timer is not None:
            instance.idle_timer.cancel()
            instance.idle_timer = None
        instance.busy += 1
        instance.session.requests += 1
        waiter.set_result(instance)

    def schedule_idle_end(self, instance: PoolInstance) -> None:
        if self.manual_count is not None:
            return
        if instance.port is not None and not instance.busy and instance.idle_timer is None:
            idle_s = self.options.real_seconds(self.options.tail.draw(self.draws))
            instance.idle_timer = asyncio.get_running_loop().call_later(idle_s, self.end_instance, instance, "idle")

    def start(self) -> None:
        session = self.bill.open(self.clock(), self.options.speed)
        instance = PoolInstance(child=self.launcher.launch(), session=session)
        self.instances.append(instance)
        instance.task = asyncio.create_task(self.run_instance(instance))
        self.bill.write(self.clock())

    async def run_instance(self, instance: PoolInstance) -> None:
        delay = self.options.real_seconds(self.options.start.draw(self.draws))
        try:
            _, port = await asyncio.gather(asyncio.sleep(delay), wait_for_port(instance.child))
        except (StartError, TimeoutError):
            self.end_instance(instance, "failed")
            return
        instance.port = port
        instance.session.ready = self.clock()
        self.bill.write(self.clock())
        self.balance()
        await wait_until_ended(instance.child)
        self.end_instance(instance, "crashed")

    def withdraw_surplus(self) -> None:
        if self.manual_count is not None:
            return
        starting = [instance for instance in self.starting if not instance.keep_starting]
        surplus = to_withdraw(
            self.options,
            waiting=len(self.waiting),
            busy=self.busy,
            alive=len(self.instances),
            starting=len(starting),
        )
        for instance in starting[len(starting) - surplus :]:
            self.end_instance(instance, "abandoned")

    def end_instance(self, instance: PoolInstance, reason: str) -> None:
        """Ends an instance and its billed session; the process stops in the background."""
        if instance not in self.instances:
            return
        self.instances.remove(instance)
        instance.session.ended = self.clock()
        instance.session.end_reason = reason
        self.bill.write(self.clock())
        task = asyncio.create_task(self.stop_process(instance))
        self.ending.add(task)
        task.add_done_callback(self.ending.discard)
        if reason == "failed":
            self.fail_waiting()
        self.balance()

    async def stop_process(self, instance: PoolInstance) -> None:
        if instance.task is not None and instance.session.end_reason not in {"failed", "crashed"}:
            instance.task.cancel()
        if instance.idle_timer is not None:
            instance.idle_timer.cancel()
        await asyncio.to_thread(instance.child.stop)

    def fail_waiting(self) -> None:
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_exception(StartFailed)

    def scale_in(self) -> None:
        """Ends idle instances now, before their idle time is over."""
        for instance in [one for one in self.instances if one.port is not None and not one.busy]:
            self.end_instance(instance, "idle")

    async def stop(self) -> None:
        for waiter in self.waiting:
            waiter.cancel()
        self.waiting.clear()
        for instance in list(self.instances):
            self.end_instance(instance, "stopped")
        await asyncio.gather(*self.ending)
        self.launcher.stop()
