"""Which comparison of ways to serve requests was published last for a tenant? Its partition has one document."""

from collections.abc import Mapping
from typing import Any, Final, Self

from msgspec import Struct

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.damage import read_or_none
from clients.storage.keys import money_key
from clients.storage.port import Create, DocumentStore, Replace

DOCUMENT: Final = "economics"


class PublishedRun(Struct, frozen=True, kw_only=True):
    """A run of the reporter and when it was published, in seconds since the epoch."""

    at: float
    report: Mapping[str, Any]

    def to_document(self) -> dict[str, Any]:
        return {"kind": DOCUMENT, "v": 1, "at": self.at, "report": self.report}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(at=body["at"], report=body["report"])


class EconomicsRuns:
    """The last published run of each tenant; an earlier one is replaced."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def latest(self, tenant: str) -> PublishedRun | None:
        found = await self.store.read(money_key(tenant), DOCUMENT)
        return read_or_none(found, lambda document: document.read_as(PublishedRun.from_document))

    async def publish(self, tenant: str, report: Mapping[str, Any]) -> None:
        key, body = money_key(tenant), PublishedRun(at=self.clock.now(), report=report).to_document()

        async def step() -> None:
            found = await self.store.read(key, DOCUMENT)
            write = Replace(id=DOCUMENT, body=body, etag=found.etag) if found else Create(id=DOCUMENT, body=body)
            await self.store.commit(key, (write,))

        await compare_and_swap(self.clock, step)
