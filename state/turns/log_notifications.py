"""How does a reader in the process of the writer get new log slots at once? Readers elsewhere poll the store."""

import asyncio
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress

from domain.log.events import Slot

KEPT = 32
"""How many slots are kept for a slow reader; it reads the others from the store."""


class LogSubscription:
    """The slots that one reader of one log has received and not taken yet."""

    def __init__(self) -> None:
        self.slots: dict[int, Slot] = {}
        self.received = asyncio.Event()

    def add(self, slot: Slot) -> None:
        if len(self.slots) == KEPT:
            self.slots.clear()
        self.slots[slot.number] = slot
        self.received.set()

    def take(self, number: int) -> Sequence[Slot]:
        """Return the received slots from `number` on, up to the first gap."""
        self.received.clear()
        run: list[Slot] = []
        while slot := self.slots.pop(number + len(run), None):
            run.append(slot)
        self.slots = {known: slot for known, slot in self.slots.items() if known > number}
        return run

    async def wait(self, *, within_s: float) -> None:
        """Return when a slot was received since the last `take`, or after `within_s` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.received.wait()


class LogNotifications:
    """Passes new slots to the subscriptions of their response. A lost notification costs one poll, never an event."""

    def __init__(self) -> None:
        self.subscriptions: defaultdict[str, set[LogSubscription]] = defaultdict(set)

    def notify(self, response_id: str, slot: Slot) -> None:
        for subscription in self.subscriptions.get(response_id, ()):
            subscription.add(slot)

    @contextmanager
    def subscribe(self, response_id: str) -> Generator[LogSubscription]:
        """Collect the slots of a response until the context is left."""
        subscription = LogSubscription()
        self.subscriptions[response_id].add(subscription)
        try:
            yield subscription
        finally:
            self.subscriptions[response_id].discard(subscription)
            if not self.subscriptions[response_id]:
                del self.subscriptions[response_id]
