"""Which rule is in force for each backend that scales to zero? One document beside the backend's state."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from clients.clock import Clock
from clients.storage.compare_and_swap import commit_if_unchanged
from clients.storage.damage import read_or_none
from clients.storage.port import Create, DocumentStore, Replace
from domain.fleet.catalog import Backend
from domain.routing.rules.rule_choice import RuleChoice
from state.fleet.state_documents import backend_key

RULE_ID: Final = "rule"

REFRESH_S: Final = 300.0
"""A process uses a rule that it has read for this long: rules change once a day."""


class RentalRules:
    """Reads are cached in the process, so that a decision reads no further document."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.cached: dict[str, RuleChoice] = {}
        self.read_at: dict[str, float] = {}

    async def in_force(self, backends: Iterable[Backend], *, most: int | None = None) -> Mapping[str, RuleChoice]:
        """Return the adopted rules by backend; a backend without one has the default rule.

        With `most`, of the rules that were read before only so many are read again, the oldest first.
        """
        now, known = self.clock.now(), list(backends)
        new = [each for each in known if each.name not in self.read_at]
        old = [each for each in known if now - self.read_at.get(each.name, now) >= REFRESH_S]
        oldest = sorted(old, key=lambda each: self.read_at[each.name])[:most]
        await asyncio.gather(*(self.refresh(each) for each in (*new, *oldest)))
        return self.cached

    async def refresh(self, backend: Backend) -> RuleChoice | None:
        """Read the rule of a backend from the store."""
        found = await self.store.read(backend_key(backend), RULE_ID)
        self.read_at[backend.name] = self.clock.now()
        self.cached.pop(backend.name, None)
        choice = read_or_none(found, lambda document: document.read_as(RuleChoice.from_document))
        if choice:
            self.cached[backend.name] = choice
        return self.cached.get(backend.name)

    async def adopt(self, backend: Backend, choice: RuleChoice) -> None:
        """Write a rule; where another process was faster, its rule stays."""
        found = await self.store.read(backend_key(backend), RULE_ID)
        body = {"kind": "rule", "v": 1, **choice.to_document()}
        write = Replace(id=RULE_ID, body=body, etag=found.etag) if found else Create(id=RULE_ID, body=body)
        await commit_if_unchanged(self.store, backend_key(backend), (write,))
        await self.refresh(backend)
