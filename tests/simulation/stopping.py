"""How does a process stop, as by SIGSTOP, and wake after others have taken over?"""

from collections.abc import Awaitable, Callable
from typing import override

from tests.fakes.clocks import LoopClock
from tests.fakes.stores import Fault, FlakyStore


class StoppableStore(FlakyStore):
    """A process's view of the store. While the process is stopped its calls wait; then they run, late."""

    wakes_at = 0.0

    async def thaw(self) -> None:
        clock = LoopClock()
        while clock.now() < self.wakes_at:
            await clock.sleep(self.wakes_at - clock.now())

    @override
    async def guarded[T](self, name: str, about: str, action: Callable[[], Awaitable[T]], fault: Fault | None) -> T:
        await self.thaw()
        result = await super().guarded(name, about, action, fault)
        await self.thaw()
        return result
