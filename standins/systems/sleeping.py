"""Is the instance behind a stand-in asleep, starting or up?"""

import asyncio
from collections.abc import Callable
from typing import Any


class Instance:
    """Starts when a request arrives, and sleeps again after `idle_s` seconds without one. Times are Unix seconds."""

    def __init__(self, *, start_s: float, idle_s: float, clock: Callable[[], float]) -> None:
        self.start_s = start_s
        self.idle_s = idle_s
        self.clock = clock
        self.ready_at: float | None = None
        self.busy = 0
        self.idle_since = 0.0
        self.lives: list[dict[str, Any]] = []

    @property
    def is_up(self) -> bool:
        self.sleep_if_idle()
        return self.ready_at is not None and self.clock() >= self.ready_at

    def sleep_if_idle(self) -> None:
        if self.ready_at is None or self.busy or self.clock() < max(self.ready_at, self.idle_since) + self.idle_s:
            return
        self.ready_at = None

    def wake(self) -> None:
        self.sleep_if_idle()
        if self.ready_at is None:
            now = self.clock()
            self.ready_at = self.idle_since = now + self.start_s
            self.lives.append({"started": now, "requests": 0})

    async def up(self) -> None:
        """Wait until the instance is up."""
        self.wake()
        await asyncio.sleep(max(0.0, (self.ready_at or 0.0) - self.clock()))

    def enter(self) -> None:
        self.busy += 1
        if self.lives:
            self.lives[-1]["requests"] += 1

    def leave(self) -> None:
        self.busy -= 1
        self.idle_since = self.clock()

    def put_to_sleep(self) -> None:
        self.ready_at = None
