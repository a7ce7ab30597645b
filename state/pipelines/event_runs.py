"""Which events has a pipeline got, and which of them are dead?

The owner's index has one document for each event, and an entry for each dead one. An erased owner has neither.
"""

import re
from collections.abc import Callable, Sequence
from copy import replace
from typing import Final

from clients.clock import Clock
from clients.storage.compare_and_swap import commit_if_unchanged, compare_and_swap
from clients.storage.damage import readable
from clients.storage.keys import owner_index_key, thread_id
from clients.storage.port import SWEEP_LIMIT, Container, Create, Delete, Document, DocumentStore, Operation, Replace
from domain.errors import NotFound
from domain.identity.owners import Owner
from domain.pipelines.event_run import EventRun, RunStatus, dead_prefix
from state.time_index import IndexPage, IndexRange, read_page, time_entry_id

KEPT_S = 30 * 86_400
"""An event that is sent again after this time is a new one, and a dead one is forgotten."""

EVENT: Final = re.compile(r"event_[a-z0-9-]+_[0-9a-f]{64}")
DATED: Final = re.compile(r"[0-9]{13}_[0-9a-f]{64}")
"""What comes after the pipeline in the entry of a dead event."""


class EventRuns:
    """Stores what has become of events. Every method is safe to repeat."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def accept(self, run: EventRun) -> EventRun:
        """Store a new event and register its thread; return the stored one where it had arrived before."""
        key = owner_index_key(run.owner)
        thread = Create(id=thread_id(run.thread), body={"kind": "thread", "v": 1, "at": run.created_at})
        writes = (Create(id=run.id, body=run.to_document(), expires_at=run.created_at + KEPT_S), thread)
        while True:
            found = await self.store.read(key, run.id)
            if found:
                return found.read_as(EventRun.from_document)
            if await commit_if_unchanged(self.store, key, writes):
                return run
            writes = writes[:1]  # the thread is registered: an earlier event of this id has expired

    async def find(self, owner: Owner, identifier: str) -> EventRun | None:
        """Return an event that has arrived; None for a name that none can have."""
        if not EVENT.fullmatch(identifier):
            return None
        found = await self.store.read(owner_index_key(owner), identifier)
        return found.read_as(EventRun.from_document) if found else None

    async def change(self, run: EventRun, decide: Callable[[EventRun], EventRun]) -> EventRun:
        """Write what `decide` makes of a run, and its entry among the dead, in one commit; raises NotFound."""
        key = owner_index_key(run.owner)

        async def step() -> EventRun:
            found = await self.store.read(key, run.id)
            if found is None:
                raise NotFound.by_id("Event", run.digest)
            before = found.read_as(EventRun.from_document)
            after = self.dated(before, decide(before))
            if after != before:
                await self.store.commit(key, self.writes(found, before, after))
            return after

        return await compare_and_swap(self.clock, step)

    def dated(self, before: EventRun, after: EventRun) -> EventRun:
        """Return a run with the time at which it died last; one that is sent again stays a cursor of the list."""
        dies = after.status is RunStatus.DEAD and before.status is not RunStatus.DEAD
        return replace(after, dead_at=self.clock.now()) if dies else after

    def writes(self, found: Document, before: EventRun, after: EventRun) -> Sequence[Operation]:
        expires_at = self.clock.now() + KEPT_S
        writes: list[Operation] = [
            Replace(id=found.id, body=after.to_document(), etag=found.etag, expires_at=expires_at)
        ]
        was_dead, is_dead = before.status is RunStatus.DEAD, after.status is RunStatus.DEAD
        if is_dead and not was_dead:
            body = {"kind": "dead_event", "v": 1, "at": self.clock.now()}
            writes.append(Create(id=dead_id(after), body=body, expires_at=expires_at))
        if was_dead and not is_dead:
            writes.append(Delete(id=dead_id(before)))
        return writes

    async def dead(self, owner: Owner, pipeline: str, *, after: str, limit: int) -> IndexPage[EventRun]:
        """Return dead events of a pipeline, the last ones first, those behind the entry `after`."""
        key = owner_index_key(owner)

        async def load(entry: Document) -> EventRun | None:
            run = await self.find(owner, f"event_{pipeline}_{entry.id.rpartition('_')[2]}")
            return run if run and run.status is RunStatus.DEAD and dead_id(run) == entry.id else None

        wanted = IndexRange(prefix=dead_prefix(pipeline), after=after)
        return await read_page(self.store, key, wanted, load, limit=limit)

    async def dead_entry(self, owner: Owner, pipeline: str, name: str) -> str | None:
        """Return the entry of an event in the list of the dead; None for one that is unknown, or forgotten.

        `name` is its digest, or what comes after the pipeline in the entry: that has the time, and stays a place in the
        list whatever becomes of the event.
        """
        if DATED.fullmatch(name):
            return f"{dead_prefix(pipeline)}{name}"
        run = await self.find(owner, f"event_{pipeline}_{name}")
        return dead_id(run) if run else None

    async def unfinished(self, status: RunStatus, *, before: float, limit: int = SWEEP_LIMIT) -> Sequence[EventRun]:
        """Return runs of all owners with a status, at most `limit`: those first that were looked at longest ago.

        Their events arrived before a time.
        """
        found = await self.store.find(
            Container.TURNS, kind="pipeline_event", status=status.value, before=before, limit=limit
        )
        return tuple(readable(found, lambda each: each.document.read_as(EventRun.from_document)))

    async def put_behind(self, run: EventRun) -> None:
        """Let `unfinished` return a run behind all others, where it has not ended; raises NotFound."""

        def looked(stored: EventRun) -> EventRun:
            ends = stored.status in (RunStatus.DONE, RunStatus.DEAD)
            return stored if ends else replace(stored, looked_at=self.clock.now())

        await self.change(run, looked)


def dead_id(run: EventRun) -> str:
    """Return the id of a run's entry in the list of dead events; entries of earlier releases have no time."""
    prefix = dead_prefix(run.pipeline)
    return time_entry_id(prefix, run.dead_at, run.digest) if run.dead_at else f"{prefix}{run.digest}"
