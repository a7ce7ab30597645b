"""How does a reader in this process learn of a write at once? Elsewhere it polls; a notice only makes it sooner."""

import asyncio
from collections import defaultdict


class Notices:
    """Wakes those who wait for a name. A missed notice costs a poll, never an answer."""

    def __init__(self) -> None:
        self.waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def notify(self, name: str) -> None:
        for future in self.waiting.pop(name, ()):
            if not future.done():
                future.set_result(None)

    async def wait(self, name: str, *, within_s: float) -> None:
        """Return at the next notice for `name`, or after `within_s` seconds."""
        future = asyncio.get_running_loop().create_future()
        self.waiting[name].add(future)
        try:
            await asyncio.wait((future,), timeout=within_s)
        finally:
            self.forget(name, future)

    def forget(self, name: str, future: asyncio.Future[None]) -> None:
        future.cancel()
        others = self.waiting.get(name)
        if others:
            others.discard(future)
        if name in self.waiting and not self.waiting[name]:
            del self.waiting[name]
