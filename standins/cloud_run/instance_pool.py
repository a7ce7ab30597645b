"""Which instance takes a request, and when do instances start and end?"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from standins.cloud_run.instance_bill import Bill, Session
from standins.cloud_run.launcher import Launcher, ended, ready_port
from standins.cloud_run.options import Options
from standins.cloud_run.scaling import to_start, to_withdraw
from standins.processes.child_process import Child, StartError


class StartFailed(Exception):
    """No instance can start: the model's process ended by itself."""


@dataclass(slots=True, kw_only=True, eq=False)
class Instance:
    """`port` is None until it is ready; `owed` is a start that goes on though its requests were given up."""

    child: Child
    session: Session
    port: int | None = None
    busy: int = 0
    owed: bool = False
    life: asyncio.Task[None] | None = None
    end: asyncio.TimerHandle | None = field(default=None)


class Pool:
    def __init__(
        self,
        *,
        options: Options,
        launcher: Launcher,
        bill: Bill,
        clock: Callable[[], float],
        chance: random.Random,
    ) -> None:
        self.options = options
        self.launcher = launcher
        self.bill = bill
        self.clock = clock
        self.chance = chance
        self.instances: list[Instance] = []
        self.waiting: deque[asyncio.Future[Instance]] = deque()
        self.ending: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> int:
        return sum(instance.busy for instance in self.instances)

    @property
    def starting(self) -> list[Instance]:
        return [instance for instance in self.instances if instance.port is None]

    @property
    def is_full(self) -> bool:
        most = self.options.most_waiting
        return most is not None and len(self.waiting) >= most and self.free() is None

    def free(self) -> Instance | None:
        return next((instance for instance in self.instances if self.has_room(instance)), None)

    def has_room(self, instance: Instance) -> bool:
        return instance.port is not None and instance.busy < self.options.concurrency and instance.child.alive

    async def take(self, hold_s: float) -> Instance:
        """Waits at most `hold_s` of this machine for a place; TimeoutError gives up, StartFailed is no use to await."""
        place = asyncio.get_running_loop().create_future()
        self.waiting.append(place)
        self.balance()
        try:
            async with asyncio.timeout(hold_s):
                return await place
        except TimeoutError:
            self.forgo(place)
            for instance in self.starting:
                instance.owed = True
            raise
        except asyncio.CancelledError:
            self.forgo(place)
            self.withdraw()
            raise

    def forgo(self, place: asyncio.Future[Instance]) -> None:
        """Gives a place back that came in the moment of leaving, or leaves the queue."""
        if place in self.waiting:
            self.waiting.remove(place)
        elif not place.cancelled() and place.exception() is None:
            self.release(place.result())

    def release(self, instance: Instance) -> None:
        instance.busy -= 1
        self.balance()

    def balance(self) -> None:
        """Seats who waits, first come first served, starts what is missing, and lets what is idle end in time."""
        while self.waiting and (instance := self.free()) is not None:
            self.seat(self.waiting.popleft(), instance)
        missing = to_start(self.options, waiting=len(self.waiting), busy=self.busy, alive=len(self.instances))
        for _ in range(missing):
            self.start()
        for instance in self.instances:
            self.rest(instance)

    def seat(self, place: asyncio.Future[Instance], instance: Instance) -> None:
        if place.done():
            return
        if instance.end is not None:
            instance.end.cancel()
            instance.end = None
        instance.busy += 1
        instance.session.requests += 1
        place.set_result(instance)

    def rest(self, instance: Instance) -> None:
        if instance.port is not None and not instance.busy and instance.end is None:
            tail = self.options.real(self.options.tail.draw(self.chance))
            instance.end = asyncio.get_running_loop().call_later(tail, self.finish, instance, "idle")

    def start(self) -> None:
        session = self.bill.open(self.clock(), self.options.speed)
        instance = Instance(child=self.launcher.launch(), session=session)
        self.instances.append(instance)
        instance.life = asyncio.create_task(self.live(instance))
        self.bill.write(self.clock())

    async def live(self, instance: Instance) -> None:
        delay = self.options.real(self.options.start.draw(self.chance))
        try:
            _, port = await asyncio.gather(asyncio.sleep(delay), ready_port(instance.child))
        except (StartError, TimeoutError):
            self.finish(instance, "failed")
            return
        instance.port = port
        instance.session.ready = self.clock()
        self.bill.write(self.clock())
        self.balance()
        await ended(instance.child)
        self.finish(instance, "crashed")

    def withdraw(self) -> None:
        starting = [instance for instance in self.starting if not instance.owed]
        surplus = to_withdraw(
            self.options,
            waiting=len(self.waiting),
            busy=self.busy,
            alive=len(self.instances),
            starting=len(starting),
        )
        for instance in starting[len(starting) - surplus :]:
            self.finish(instance, "abandoned")

    def finish(self, instance: Instance, why: str) -> None:
        """Ends an instance, whose process stops in the background, and the bill of its session."""
        if instance not in self.instances:
            return
        self.instances.remove(instance)
        instance.session.ended = self.clock()
        instance.session.why = why
        self.bill.write(self.clock())
        task = asyncio.create_task(self.bury(instance))
        self.ending.add(task)
        task.add_done_callback(self.ending.discard)
        if why == "failed":
            self.fail_waiting()
        self.balance()

    async def bury(self, instance: Instance) -> None:
        if instance.life is not None and instance.session.why not in {"failed", "crashed"}:
            instance.life.cancel()
        if instance.end is not None:
            instance.end.cancel()
        await asyncio.to_thread(instance.child.stop)

    def fail_waiting(self) -> None:
        while self.waiting:
            place = self.waiting.popleft()
            if not place.done():
                place.set_exception(StartFailed)

    def scale_in(self) -> None:
        """Ends what is idle now instead of when its tail is over."""
        for instance in [one for one in self.instances if one.port is not None and not one.busy]:
            self.finish(instance, "idle")

    async def stop(self) -> None:
        for place in self.waiting:
            place.cancel()
        self.waiting.clear()
        for instance in list(self.instances):
            self.finish(instance, "stopped")
        await asyncio.gather(*self.ending)
        self.launcher.stop()
