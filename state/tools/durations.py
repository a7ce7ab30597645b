"""Where is stored how long the calls of tools take? In one document, which names no owner."""

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.damage import read_or_none
from clients.storage.port import Container, Create, DocumentKey, DocumentStore, Replace
from domain.errors import Conflict, GanglionError, Retryable
from domain.tools.pauses.durations import ToolDurations, tool_name

TOOLS: Final = DocumentKey(container=Container.FLEET, parts=("_tools",))
"""No backend has this name: backends' names have no underscore."""

DURATIONS_ID: Final = "tool_durations"
TRIES: Final = 2
"""A duration that is lost costs accuracy, and no call."""

LONG_S: Final = 5.0
"""A tool is remembered from its first call on that took so long."""


MOST_UNWRITTEN: Final = 256
"""A fleet without counted instances never writes what it notes."""


class LearnedToolDurations:
    """Collects the durations of calls in this process until they are written, for a round at a time."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.unwritten: deque[tuple[str, float]] = deque(maxlen=MOST_UNWRITTEN)
        self.long_tools: set[str] = set()

    async def read(self) -> ToolDurations:
        found = await self.store.read(TOOLS, DURATIONS_ID)
        known = read_or_none(found, lambda document: document.read_as(ToolDurations.from_document)) or ToolDurations()
        self.long_tools |= known.tools.keys()
        return known

    def note(self, server: str, tool: str, seconds: float) -> None:
        """Remember a call, where the tool is known to take long at times."""
        name = tool_name(server, tool)
        if seconds >= LONG_S or name in self.long_tools:
            self.unwritten.append((name, seconds))

    async def write(self) -> None:
        """Write what was seen since the last time. A store that refuses it ends no call."""
        seen = list(self.unwritten)
        self.unwritten.clear()
        if seen:
            with suppress(GanglionError):
                await compare_and_swap(self.clock, lambda: self.swap(seen), tries=TRIES, retry_on=(Conflict, Retryable))

    async def swap(self, seen: Iterable[tuple[str, float]]) -> None:
        found = await self.store.read(TOOLS, DURATIONS_ID)
        known = read_or_none(found, lambda document: document.read_as(ToolDurations.from_document)) or ToolDurations()
        body = known.with_calls(seen).to_document()
        write = Replace(id=DURATIONS_ID, body=body, etag=found.etag) if found else Create(id=DURATIONS_ID, body=body)
        await self.store.commit(TOOLS, (write,))
