"""Which description of each tool has been accepted? One document for each server.

The first description that is seen of a tool is accepted; another one only by an operator.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.port import Container, Create, DocumentKey, DocumentStore, Replace

PINS_ID: Final = "pins"

MOST_PINS: Final = 512
"""A server may rename its tools as often as it likes: more of them are not accepted at their first sight."""

type Pins = Mapping[str, str]


def pins_key(label: str) -> DocumentKey:
    """Return the partition of a server. No backend has its name, which has a colon."""
    return DocumentKey(container=Container.FLEET, parts=(f"tools:{label}",))


class ToolPins:
    """The accepted fingerprints of tools, by server and name."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def known(self, label: str) -> Pins:
        found = await self.store.read(pins_key(label), PINS_ID)
        return found.read_as(pins_from_document) if found else {}

    async def pin_new(self, label: str, seen: Pins) -> Pins:
        """Accept the tools that are seen for the first time, and return all accepted fingerprints."""
        known = await self.known(label)
        if seen.keys() <= known.keys():
            return known
        return await self.change(label, lambda before: with_new(before, seen))

    async def accept(self, label: str, accepted: Pins) -> Pins:
        """Accept these fingerprints instead of earlier ones."""
        return await self.change(label, lambda before: {**before, **accepted})

    async def change(self, label: str, decide: Callable[[Pins], Pins]) -> Pins:
        async def step() -> Pins:
            found = await self.store.read(pins_key(label), PINS_ID)
            after = decide(found.read_as(pins_from_document) if found else {})
            body = {"kind": "pins", "v": 1, "tools": dict(after)}
            write = Replace(id=PINS_ID, body=body, etag=found.etag) if found else Create(id=PINS_ID, body=body)
            await self.store.commit(pins_key(label), (write,))
            return after

        return await compare_and_swap(self.clock, step)


def with_new(before: Pins, seen: Pins) -> Pins:
    new = [(name, fingerprint) for name, fingerprint in seen.items() if name not in before]
    return {**before, **dict(new[: max(0, MOST_PINS - len(before))])}


def pins_from_document(body: Mapping[str, Any]) -> Pins:
    return {str(name): str(fingerprint) for name, fingerprint in body["tools"].items()}
