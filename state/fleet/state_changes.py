"""How does a task learn at once that this process has changed the state of a backend?"""

import asyncio
from collections.abc import Coroutine
from typing import Any


class StateChanges:
    """One event for each backend that a task waits for; it is set once."""

    def __init__(self) -> None:
        self.events: dict[str, asyncio.Event] = {}

    def following(self, backend: str) -> asyncio.Event:
        """Return the event of the next change: ask for it before the state is read."""
        return self.events.setdefault(backend, asyncio.Event())

    def announce(self, backend: str) -> None:
        if event := self.events.pop(backend, None):
            event.set()


async def wait_for_either(event: asyncio.Event, rest: Coroutine[Any, Any, None]) -> None:
    """Return when an event is set or a rest is over."""
    tasks = asyncio.create_task(event.wait()), asyncio.create_task(rest)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in tasks:
            each.cancel()
