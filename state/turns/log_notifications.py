"""How does a reader in this process learn of a write at once? Elsewhere it polls; a notice only makes it sooner."""

import asyncio
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress

from domain.log.events import Slot

KEPT = 32
"""So many slots are kept for a reader that is slow to take them; what is more it finds in the store."""


class LogSubscription:
    """What one reader of one log has been told and has not taken yet."""

    def __init__(self) -> None:
        self.slots: dict[int, Slot] = {}
        self.news = asyncio.Event()

    def tell(self, slot: Slot) -> None:
        if len(self.slots) == KEPT:
            self.slots.clear()
        self.slots[slot.number] = slot
        self.news.set()

    def take(self, number: int) -> Sequence[Slot]:
        """Return the slots numbered on from `number`, as far as they were told without a gap."""
        self.news.clear()
        run: list[Slot] = []
        while slot := self.slots.pop(number + len(run), None):
            run.append(slot)
        self.slots = {known: slot for known, slot in self.slots.items() if known > number}
        return run

    async def wait(self, *, within_s: float) -> None:
        """Return when something was told since the last taking, or after `within_s` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.news.wait()


class LogNotifications:
    """Hands what was written to those who watch a name. A missed notice costs a poll, never an answer."""

    def __init__(self) -> None:
        self.watching: defaultdict[str, set[LogSubscription]] = defaultdict(set)

    def notify(self, name: str, slot: Slot) -> None:
        for told in self.watching.get(name, ()):
            told.tell(slot)

    @contextmanager
    def watch(self, name: str) -> Generator[LogSubscription]:
        """Collect what is written under a name until the context is left."""
        told = LogSubscription()
        self.watching[name].add(told)
        try:
            yield told
        finally:
            self.watching[name].discard(told)
            if not self.watching[name]:
                del self.watching[name]
