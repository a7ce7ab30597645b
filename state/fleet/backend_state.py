"""Where is the learned state of each backend stored, and how do many instances update it together?"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from copy import replace
from functools import partial
from typing import NamedTuple

from clients.clock import Clock, process_name
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.group_commit import GroupCommit
from clients.storage.paging import list_all
from clients.storage.port import Document, DocumentStore
from domain.errors import Conflict, Retryable
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.cold_start import WarmUp
from domain.fleet.failure_classes import Diagnosis
from domain.fleet.instances.memory import UNKNOWN, AttemptStart, start_of
from domain.fleet.learned_speed import Observation
from domain.fleet.load import QueuePlace
from domain.fleet.state_updates import (
    after_end,
    after_failed_warm_up,
    after_failure,
    after_hold,
    after_keeping,
    after_leaving_queue,
    after_opening,
    after_probe,
    after_queueing,
    after_release,
    after_sending,
    after_start,
    after_stop,
    after_success,
    after_use,
    after_warm_up,
    start_seen,
)
from domain.routing.queueing import QueuedTurn, QueueWait, next_watcher, turns_with_room
from state.fleet.learned_news import claims_scarce, learn_s, shows_nothing_new
from state.fleet.place_wakes import PlaceWakes
from state.fleet.promised_places import PromisedPlaces
from state.fleet.state_changes import StateChanges
from state.fleet.state_documents import FLEET, NOW, PREFIX, STATE_ID, StateReader, StoredState, backend_key, state_id
from telemetry.metrics import backend_attributes, count_cold_start
from telemetry.spans import current_traceparent
from telemetry.turn import record_warm_up

TRIES = 10
"""A backend's state is worth a few tries: an update that is lost costs accuracy, and no answer."""

MOST_AT_ONCE = 100


class LearnedState(NamedTuple):
    """A state that is not written yet, and the etag of the document from which it was learned."""

    etag: str
    state: BackendState


type StateChange = Callable[[BackendState], BackendState | None]


class BackendStates:
    """The states of all backends, updated by compare-and-swap. An update that cannot be written is dropped.

    Within one process, concurrent updates of one backend share a commit. Between processes only what is learned may
    conflict. An answer that shows nothing new is therefore written at most once in a few seconds, see `learn_s`; until
    then this process alone knows of it. An attempt that claims scarce KV memory conflicts too: none is given twice.
    """

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.process = process_name()
        self.commits: dict[str, GroupCommit[StateChange, BackendState | None]] = {}
        self.unwritten: dict[str, LearnedState] = {}
        self.written_at: dict[str, float] = {}
        self.earlier: dict[str, BackendState] = {}
        self.opened: set[str] = set()
        self.reader = StateReader()
        self.promised = PromisedPlaces()
        self.changes = StateChanges()
        self.wakes = PlaceWakes()

    async def documents(self) -> Sequence[Document]:
        """Read what every decision needs of all backends, in one call of the store."""
        return await list_all(self.store, FLEET, prefix=NOW)

    async def read(self, backends: Mapping[str, Backend]) -> Mapping[str, BackendState]:
        """Return the state of each backend by its name; a backend without a document has its initial state."""
        return await self.among(await list_all(self.store, FLEET, prefix=PREFIX), backends)

    async def among(self, documents: Sequence[Document], backends: Mapping[str, Backend]) -> Mapping[str, BackendState]:
        """Return the same from documents that were read together."""
        found = await self.stored(documents, backends)
        return {name: self.known(each) for name, each in found.items()}

    async def record_start(
        self, backend: Backend, attempt: str, *, until: float, response: str = "", claim: int = 0
    ) -> AttemptStart:
        """Count an attempt as running, unless others have claimed the KV memory that it may need meanwhile.

        One that may not run keeps nothing: neither what it was promised, nor what an earlier run claimed that died.
        """
        now = self.clock.now()
        found: list[AttemptStart] = []

        def started(state: BackendState) -> BackendState:
            found.append(start_of(state, backend, attempt, claim=claim, now=now))
            if not found[-1].has_memory:
                return after_end(state, attempt=attempt)
            return after_start(state, attempt=attempt, until=until, now=now, response=response, claim=claim)

        await self.update(backend, started)
        start = found[-1] if found else UNKNOWN
        if not start.has_memory:
            self.promised.give_back(backend.name, attempt)
        return start

    async def record_opening(self, backend: Backend, *, asked_at: float) -> None:
        """Record that a backend which was not known to be warm accepted a request, and count the cold start, if any."""
        now = self.clock.now()
        found: list[BackendState] = []

        def opened(state: BackendState) -> BackendState:
            found.append(state)
            return after_opening(state, backend, asked_at=asked_at, opened_at=now)

        updated = await self.update(backend, opened)
        took_s = start_seen(found[-1], asked_at=asked_at, opened_at=now) if updated else None
        if updated:
            self.opened.add(backend.name)
        if took_s is not None:
            count_cold_start(backend, took_s)
            show_start(backend, found[-1].warmth.warm_up, opened_at=now)

    def take_opened(self) -> bool:
        """Return whether this process has seen a backend become warm since it was asked last."""
        found, self.opened = bool(self.opened), set()
        return found

    async def record_success(self, backend: Backend, seen: Observation) -> None:
        self.promised.give_back(backend.name, seen.attempt)
        await self.update(backend, lambda state: after_success(state, seen, backend))

    async def record_failure(
        self, backend: Backend, diagnosis: Diagnosis, attempt: str, *, asked_at: float | None = None
    ) -> None:
        now = self.clock.now()
        asked = now if asked_at is None else asked_at
        self.promised.give_back(backend.name, attempt)
        await self.update(
            backend,
            lambda state: after_failure(state, diagnosis, backend, attempt=attempt, asked_at=asked, now=now),
        )

    async def record_end(self, backend: Backend, attempt: str) -> None:
        """Record that an attempt is no longer in flight, and change nothing else."""
        self.promised.give_back(backend.name, attempt)
        await self.update(backend, lambda state: after_end(state, attempt=attempt))

    async def claim_warm_up(self, backend: Backend, by: str) -> BackendState | None:
        """Reserve the warm-up of a cold backend for `by`; None where it is warm, or another caller is warming it up."""
        now, trace = self.clock.now(), current_traceparent()
        return await self.update(
            backend, lambda state: after_warm_up(state, backend, by=by, now=now, traceparent=trace)
        )

    async def record_warm_up_sent(self, backend: Backend, by: str) -> None:
        """Record that a warm-up request is sent now, later than it was decided."""
        now = self.clock.now()
        await self.update(backend, lambda state: after_sending(state, by=by, now=now))

    async def record_warm_up_hold(self, backend: Backend, by: str, *, held_until: float | None) -> None:
        """Record that a warm-up request is still without an answer; `held_until` is set while it stays open."""
        now = self.clock.now()
        await self.update(backend, lambda state: after_hold(state, by=by, now=now, held_until=held_until))

    async def record_warm_up_failure(self, backend: Backend, diagnosis: Diagnosis, by: str) -> None:
        """Record that a warm-up request was rejected or could not be sent, and why."""
        now = self.clock.now()
        await self.update(backend, lambda state: after_failed_warm_up(state, diagnosis, by=by, now=now))

    async def release_warm_up(self, backend: Backend, by: str) -> None:
        """Record that the warm-up of `by` was never sent, so that another caller may send one."""
        await self.update(backend, lambda state: after_release(state, by=by))

    async def record_stop(self, backend: Backend, *, looked_at: float) -> bool:
        """Record that the product ends the instance now; False where it is needed again since it was looked at."""
        now = self.clock.now()
        stopped = await self.update(backend, lambda state: after_stop(state, backend, now=now, looked_at=looked_at))
        return stopped is not None

    async def record_kept_until(self, backend: Backend, until: float) -> None:
        """Record that the product keeps an instance up until a time, in seconds since the epoch."""
        await self.update(backend, lambda state: after_keeping(state, until=until))

    async def record_queued_turn(self, backend: Backend, turn: QueuedTurn, wait: QueueWait) -> None:
        """Record the place in the queue of a turn that waits for a free slot."""
        now, place = self.clock.now(), QueuePlace(turn.admitted_at, wait.kept_until, turn.route, wait.claim)
        await self.update(backend, lambda state: after_queueing(state, turn.response, place, now=now))

    async def leave_queue(self, backend: Backend, response: str) -> None:
        """Record that a turn no longer waits for this backend; the next one in line watches a start in its place."""
        now = self.clock.now()
        watchers: list[Mapping[str, QueuePlace]] = []

        def left(state: BackendState) -> BackendState:
            watchers.append(next_watcher(state, response, now=now))
            return after_leaving_queue(state, response)

        if await self.update(backend, left):
            self.wakes.note(watchers[-1], now=now)

    async def claim_probe(self, backend: Backend, by: str) -> bool:
        """Reserve the probe of a backend whose circuit is open for `by`; False where another caller probes it."""
        now = self.clock.now()
        return await self.update(backend, lambda state: after_probe(state, by=by, now=now)) is not None

    async def update(self, backend: Backend, change: StateChange) -> BackendState | None:
        """Return the state after a change; None where `change` returned None, or the change could not be written."""
        if backend.name not in self.commits:
            self.commits[backend.name] = GroupCommit(partial(self.write, backend), most=MOST_AT_ONCE)
        try:
            return await self.commits[backend.name].submit(change)
        except Retryable:
            return None

    async def write(self, backend: Backend, changes: Sequence[StateChange]) -> Sequence[BackendState | None]:
        return await compare_and_swap(
            self.clock, lambda: self.swap(backend, changes), tries=TRIES, retry_on=(Conflict, Retryable)
        )

    async def swap(self, backend: Backend, changes: Sequence[StateChange]) -> Sequence[BackendState | None]:
        documents = await list_all(self.store, FLEET, prefix=state_id(backend.name))
        found = (await self.stored(documents, {backend.name: backend}))[backend.name]
        before = state = self.known(found)
        results: list[BackendState | None] = []
        for change in changes:
            after = change(state)
            results.append(after)
            state = after or state
        state = after_use(before, state, backend, self.clock.now())
        is_scarce = claims_scarce(before, state, backend, self.clock.now())
        must_learn = is_scarce or not self.may_wait(found, state, within_s=learn_s(backend))
        operations = [found.write_learned(state)] if must_learn else []
        if state.load != before.load:
            operations.append(found.write_load(state.load, process=self.process, now=self.clock.now()))
        if operations:
            await self.store.commit(FLEET, operations)
        self.remember(found, state, is_written=must_learn)
        self.wakes.note(turns_with_room(state, backend, now=self.clock.now()), now=self.clock.now())
        if state != before and not state.load.running(self.clock.now()):
            self.changes.announce(backend.name)
        return results

    def may_wait(self, found: StoredState, state: BackendState, *, within_s: float) -> bool:
        """Tell whether what was learned beyond a stored state need not be written now."""
        if replace(state, load=found.base.load) == found.base:
            return True
        since_s = self.clock.now() - self.written_at.get(state.backend, 0.0)
        return bool(found.etag) and 0 <= since_s < within_s and shows_nothing_new(found.base, state, within_s=within_s)

    def remember(self, found: StoredState, state: BackendState, *, is_written: bool) -> None:
        if is_written:
            self.written_at[state.backend] = self.clock.now()
            self.unwritten.pop(state.backend, None)
        elif found.etag:
            self.unwritten[state.backend] = LearnedState(found.etag, state)

    def known(self, found: StoredState) -> BackendState:
        """Return the stored state with what this process has learned since; where another has written, without it."""
        stored = found.state
        learned = self.unwritten.get(stored.backend)
        return replace(learned.state, load=stored.load) if learned and learned.etag == found.etag else stored

    async def stored(self, documents: Sequence[Document], backends: Mapping[str, Backend]) -> Mapping[str, StoredState]:
        found = self.reader.stored(documents, backends)
        await self.read_earlier([backends[name] for name, each in found.items() if not each.etag])
        return {name: replace(each, first=self.earlier.get(name, each.first)) for name, each in found.items()}

    async def read_earlier(self, backends: Sequence[Backend]) -> None:
        """Read once where earlier releases kept the states of backends that have no document here."""
        new = [each for each in backends if each.name not in self.earlier]
        found = await asyncio.gather(*(self.store.read(backend_key(each), STATE_ID) for each in new))
        self.earlier |= {
            each.name: self.reader.earlier(each, document) for each, document in zip(new, found, strict=True)
        }


def show_start(backend: Backend, warm_up: WarmUp | None, *, opened_at: float) -> None:
    """Show a start in the trace of the turn that sent the warm-up, whichever process saw its end."""
    if warm_up and warm_up.traceparent:
        attributes, trace = backend_attributes(backend), warm_up.traceparent
        record_warm_up(attributes, by=warm_up.by, traceparent=trace, start=warm_up.since, end=opened_at)
