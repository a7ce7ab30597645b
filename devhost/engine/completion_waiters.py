"""How does a caller wait until an instance has completed?"""

import asyncio
import contextlib
from collections.abc import Generator


class CompletionWaiters:
    def __init__(self) -> None:
        self.waiting: dict[str, set[asyncio.Event]] = {}

    @contextlib.contextmanager
    def watch(self, instance: str) -> Generator[asyncio.Event]:
        """The event is set when the instance completes."""
        ended = asyncio.Event()
        watching = self.waiting.setdefault(instance, set())
        watching.add(ended)
        try:
            yield ended
        finally:
            watching.discard(ended)
            if not watching:
                self.waiting.pop(instance, None)

    def notify(self, instance: str) -> None:
        for ended in self.waiting.get(instance, ()):
            ended.set()
