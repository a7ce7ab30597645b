"""Which results of reads are used again, for whom, and for how long?

The results are kept in the memory of this process, and never for another tenant. They are an owner's own unless the
file shares a tool's results within the tenant. A write to a server drops what is known of that server.
"""

import hashlib
import json
from collections import OrderedDict

from msgspec import Struct

from activities.tools.call_task import CallTask
from clients.clock import Clock
from domain.content.items import ItemStatus
from domain.tools.call_record import CallOutcome
from domain.tools.catalog import CacheScope

MOST_RESULTS = 1000
MOST_CHARACTERS = 8_000_000


class KeptResult(Struct, frozen=True, kw_only=True):
    """A result, which is used until `until`, in seconds since the epoch."""

    server: str
    outcome: CallOutcome
    until: float

    @property
    def characters(self) -> int:
        return len(self.outcome.output or "") + sum(map(len, self.outcome.images))


class ResultCache:
    """Keeps results of reads; the ones that were used least recently give way."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.results: OrderedDict[str, KeptResult] = OrderedDict()
        self.characters = 0

    def find(self, task: CallTask) -> CallOutcome | None:
        """Return the result of an equal call; None where none is known, or where the turn has written since."""
        name = key_of(task)
        found = self.results.get(name) if task.tool.cache_s and not task.follows_write else None
        if found is None:
            return None
        if found.until <= self.clock.now():
            self.drop(name)
            return None
        self.results.move_to_end(name)
        return found.outcome

    def keep(self, task: CallTask, outcome: CallOutcome) -> None:
        """Keep the result of a read that succeeded. A write makes all results of its server doubtful.

        A result that was cut is not kept: its pages belong to the turn that has it.
        """
        if task.is_write:
            for name in [name for name, each in self.results.items() if each.server == task.server.label]:
                self.drop(name)
        elif task.tool.cache_s and outcome.status is ItemStatus.COMPLETED and not outcome.whole:
            name, until = key_of(task), self.clock.now() + task.tool.cache_s
            self.drop(name)
            self.results[name] = KeptResult(server=task.server.label, outcome=outcome, until=until)
            self.characters += self.results[name].characters
            while len(self.results) > MOST_RESULTS or self.characters > MOST_CHARACTERS:
                self.drop(next(iter(self.results)))

    def drop(self, name: str) -> None:
        found = self.results.pop(name, None)
        self.characters -= found.characters if found else 0


def key_of(task: CallTask) -> str:
    """Return the key of a call: who shares its result, and what decides about the result."""
    owner = task.owner
    sharer = [owner.tenant, owner.subject if task.tool.cache_scope is CacheScope.OWNER else None]
    text = json.dumps([sharer, task.server.label, task.tool.name, task.arguments], sort_keys=True)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
