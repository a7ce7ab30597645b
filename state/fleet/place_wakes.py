"""Which turns in line does this process wake, because a backend has a place for them?

A wake is an event for the turn's orchestration. It says only that the turn should look again: the backend's state
decides. One that gets lost costs the rest of the turn's timer.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from domain.fleet.load import QueuePlace

type SendWake = Callable[[str, int], Awaitable[None]]


class Wake(NamedTuple):
    """One wait of one turn: the one after its route of this number."""

    response: str
    route: int


class PlaceWakes:
    """Sends each wake once, through the host's client that a step has while it runs; without one it is kept."""

    def __init__(self) -> None:
        self.known: dict[Wake, float] = {}
        self.due: list[Wake] = []
        self.senders: list[SendWake] = []
        self.sending: set[asyncio.Task[None]] = set()

    def note(self, places: Mapping[str, QueuePlace], *, now: float) -> None:
        """Wake the turns that hold these places in a queue; one that an earlier release has put there can't hear."""
        self.known = {wake: until for wake, until in self.known.items() if until > now}
        found = {Wake(name, place.wait): place.until for name, place in places.items() if place.wait}
        new = {wake: until for wake, until in found.items() if wake not in self.known}
        self.known |= new
        self.due += new
        if self.due and self.senders:
            task = asyncio.create_task(self.send_due(self.senders[-1]))
            self.sending.add(task)
            task.add_done_callback(self.sending.discard)

    @asynccontextmanager
    async def sent_by(self, send: SendWake) -> AsyncGenerator[None]:
        """Let what is due meanwhile be sent so, at once; and at the end what is still due."""
        self.senders.append(send)
        try:
            yield
        finally:
            self.senders.remove(send)
            await self.send_due(send)
            await asyncio.gather(*self.sending)

    async def send_due(self, send: SendWake) -> None:
        while self.due:
            wake = self.due.pop(0)
            await send(wake.response, wake.route)
