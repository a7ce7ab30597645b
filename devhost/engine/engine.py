"""Who runs next? In-memory wake-ups, with the database as the truth."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from devhost.clock import now
from devhost.console import say
from devhost.engine.background_tasks import Tasks
from devhost.engine.completion_waiters import Ends
from devhost.engine.entities import Entities, Surroundings
from devhost.engine.episodes import commit_of, read, terminate_of, terminated, turn_of
from devhost.engine.history_cache import Histories
from devhost.engine.model.commands import Completed, Decision, Failed
from devhost.engine.model.events import Event, Kind
from devhost.engine.model.executor import Executor, LeaveError, Limits, RedeliverError
from devhost.engine.model.instances import TERMINAL, Instance, Query, Start
from devhost.engine.model.work_items import Turn, Work, is_entity
from devhost.engine.redeliveries import Losses
from devhost.engine.storage.database import StorageThread
from devhost.engine.storage.entity_store import EntityStore
from devhost.engine.storage.episode_commit import Effects, TurnCommit, commit_turn
from devhost.engine.storage.maintenance import purge_many, rewind
from devhost.engine.storage.store import Snapshot, Store
from devhost.engine.timer_queue import Timers

LONG_HISTORY = 5000

type Loaded = tuple[Snapshot | None, list[Event]]


class Engine:
    def __init__(
        self, *, store: Store, storage: StorageThread, executor: Executor, limits: Limits, tasks: Tasks
    ) -> None:
        self.store = store
        self.storage = storage
        self.executor = executor
        self.tasks = tasks
        self.running = Tasks(tasks.failed)
        self.turn_slots = asyncio.Semaphore(limits.turns)
        self.activity_slots = asyncio.Semaphore(limits.activities)
        self.limits = limits
        self.losses = Losses(store=store, storage=storage)
        self.timers = Timers(fire=self.fire, read=lambda: storage.run(store.timers))
        self.active: set[str] = set()
        self.woken: set[str] = set()
        self.histories = Histories()
        self.ends = Ends()
        self.stopping = False
        around = Surroundings(losses=self.losses, begin=self.begin, wake=self.wake, stopping=lambda: self.stopping)
        self.entities = Entities(
            store=EntityStore(store=store), storage=storage, executor=executor, around=around, limits=limits
        )

    async def recover(self) -> None:
        """Takes up what an earlier host left, then starts the clock."""
        backlog = await self.storage.run(self.store.recover, self.limits.activities)
        await self.losses.recover()
        if backlog.work or backlog.instances:
            say(f"recovering: {len(backlog.instances)} instances to wake, {len(backlog.work)} activities to run again")
        self.look_after(Effects(work=tuple(backlog.work), timers=tuple(backlog.timers), wake=tuple(backlog.instances)))
        self.entities.wake_all(backlog.entities)
        self.tasks.spawn(self.timers.run())

    def stop(self) -> None:
        """No more turns, activities or timers are begun."""
        self.stopping = True

    async def drain(self, patience_s: float) -> None:
        """Turns and activities that run may end, at most so long; the others are for the next host."""
        await self.running.wait(patience_s)
        await self.running.stop()

    async def start(self, start: Start, *, over: bool = False) -> None:
        """Raises InstanceRunningError; one that runs is replaced when it goes `over` it."""
        await self.change(partial(self.store.start, over=over), start, wake=start.id)

    async def send(self, instance: str, event: Event) -> None:
        """Raises InstanceNotFoundError or InstanceEndedError."""
        await self.change(self.store.send, instance, event, wake=instance)

    async def purge(self, instance: str) -> None:
        """Raises InstanceNotFoundError or InstanceRunningError."""
        await self.storage.run(self.store.purge, instance)
        self.histories.forget(instance)

    async def purge_many(self, query: Query) -> int:
        """Removes the instances of the query that have ended; returns how many they were."""
        gone = await self.storage.run(purge_many, self.store, query)
        for instance in gone:
            self.histories.forget(instance)
        return len(gone)

    async def rewind(self, instance: str, reason: str) -> None:
        """Raises InstanceNotFoundError or InstanceNotFailedError."""

        async def rewind_and_wake() -> None:
            for one in await self.storage.run(rewind, self.store, instance, reason, now()):
                self.wake(one)

        await asyncio.shield(asyncio.ensure_future(rewind_and_wake()))

    async def get(self, instance: str) -> Instance | None:
        return await self.storage.run(self.store.get, instance)

    async def wait_end(self, instance: str, patience_s: float) -> Instance | None:
        """The instance when it has ended, None when it has not within so long."""
        with self.ends.watch(instance) as ended:
            found = await self.get(instance)
            if found is None or found.status not in TERMINAL:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), patience_s)
                found = await self.get(instance)
        return found if found is not None and found.status in TERMINAL else None

    async def history(self, instance: str) -> list[Event]:
        return await self.storage.run(self.store.history, instance)

    async def query(self, query: Query) -> list[Instance]:
        return await self.storage.run(self.store.query, query)

    async def change(self, step: Callable[..., None], *args: Any, wake: str) -> None:
        """A caller that goes away in the middle does not take the wake-up with it."""

        async def change_and_wake() -> None:
            await self.storage.run(step, *args)
            self.wake(wake)

        await asyncio.shield(asyncio.ensure_future(change_and_wake()))

    async def fire(self, timers: list[Any]) -> None:
        for one in await self.storage.run(self.store.fire, timers, now()):
            (self.entities.wake if is_entity(one) else self.wake)(one)

    def look_after(self, effects: Effects) -> None:
        for work in effects.work:
            self.begin(self.run_activity(work))
        self.timers.add(effects.timers)
        for instance in effects.wake:
            self.wake(instance)
        self.entities.wake_all(effects.entities)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        if self.stopping:
            work.close()
        else:
            self.running.spawn(work)

    def wake(self, instance: str) -> None:
        self.woken.add(instance)
        if instance not in self.active:
            self.active.add(instance)
            self.begin(self.drive(instance))

    async def drive(self, instance: str, loaded: Loaded | None = None) -> None:
        """One turn after the other for one instance, as long as there is something to read.

        What came after `loaded` was read has woken the instance.
        """
        if loaded is not None:
            async with self.turn_slots:
                await self.run_turn(instance, loaded)
        while instance in self.woken and not self.stopping:
            async with self.turn_slots:
                self.woken.discard(instance)
                await self.run_turn(instance)
        self.active.discard(instance)

    async def load(self, instance: str, step: Callable[[tuple[str, int]], Snapshot | None]) -> Loaded:
        execution, known = self.histories.known(instance)
        snapshot = await self.storage.run(step, (execution, len(known)))
        if snapshot is None or snapshot.instance.execution != execution:
            return snapshot, snapshot.history if snapshot else []
        return snapshot, known + snapshot.history

    async def run_turn(self, instance: str, loaded: Loaded | None = None) -> None:
        snapshot, past = loaded or await self.load(instance, lambda known: self.store.load(instance, known))
        if snapshot is None or snapshot.instance.status in TERMINAL:
            await self.storage.run(self.store.drop, instance)
            return
        await self.decide(snapshot, past)

    async def decide(self, snapshot: Snapshot, past: list[Event]) -> None:
        reading = read(snapshot.inbox)
        if not reading.events:
            return
        turn = turn_of(snapshot.instance, past, reading, now())
        end = terminated(turn)
        if end is not None:
            commit = terminate_of(turn, reading, end.reason or "", now())
        else:
            decision = await self.ask(turn)
            if decision is None:
                return
            commit = commit_of(turn, reading, decision, now())
        effects = await self.storage.run(commit_turn, self.store, commit)
        if effects is not None:
            self.remember(turn, commit)
            self.look_after(effects)
        await self.losses.end(turn.instance.id)

    async def ask(self, turn: Turn) -> Decision | None:
        """None when the turn was lost with its worker, and is asked again, or is left to another host."""
        name, instance = turn.instance.name, turn.instance.id
        what = f"orchestrator {name} of {instance}"
        reason = self.losses.too_many(instance, self.limits.turn_redeliveries, what)
        if reason is not None:
            return Decision(ending=Failed(reason=f"Orchestrator function '{name}' failed: {reason}"))
        try:
            async with self.losses.apart(instance):
                return await self.executor.turn(turn)
        except RedeliverError:
            await self.losses.count(instance, what)
            self.woken.add(instance)
            return None
        except LeaveError:
            return None

    def remember(self, turn: Turn, commit: TurnCommit) -> None:
        instance = turn.instance
        if commit.restart is not None or commit.status in TERMINAL:
            self.histories.forget(instance.id)
        else:
            self.histories.remember(instance.id, instance.execution, [*turn.past, *commit.events])
            self.warn_of_length(turn, len(turn.past) + len(commit.events))
        if commit.restart is None and commit.status in TERMINAL:
            self.ends.tell(instance.id)

    @staticmethod
    def warn_of_length(turn: Turn, events: int) -> None:
        if len(turn.past) < LONG_HISTORY <= events:
            what = f"the history of orchestrator {turn.instance.name} ({turn.instance.id}) has {events} events"
            say(f"warning: {what}, and every turn replays them: continue as new, or hand steps to sub-orchestrations")

    async def run_activity(self, work: Work) -> None:
        place = f"{work.instance}#{work.task}"
        if work.redeliveries:
            self.losses.counts[place] = work.redeliveries
        async with self.activity_slots:
            while not self.stopping:
                outcome = await self.outcome(work, place)
                if outcome is None:
                    continue
                self.losses.counts.pop(place, None)
                await self.finish(work, result_event(work, outcome))
                return

    async def finish(self, work: Work, event: Event) -> None:
        """Records a result; where no turn of the instance runs, the next one begins with what is read on the way."""
        instance = work.instance
        if self.stopping or instance in self.active:
            if await self.storage.run(self.store.finish_work, work, event):
                self.wake(instance)
            return
        self.active.add(instance)
        loaded = await self.load(instance, lambda known: self.store.finish_and_load(work, event, known))
        self.begin(self.drive(instance, loaded))

    async def outcome(self, work: Work, place: str) -> Completed | Failed | None:
        """None when the activity was lost with its worker; one whose instance was removed is not tried again."""
        what = f"activity {work.name} of {work.instance}"
        reason = self.losses.too_many(place, self.limits.redeliveries, what)
        if reason is not None:
            return Failed(reason=f"Activity function '{work.name}' failed:  {reason}")
        try:
            async with self.losses.apart(place):
                return await self.executor.activity(work)
        except RedeliverError:
            times = await self.storage.run(self.store.redeliver, work.row)
            if not times:
                return Failed(reason="its instance is no more")
            self.losses.note(place, what, times)
            return None


def result_event(work: Work, outcome: Completed | Failed) -> Event:
    match outcome:
        case Completed():
            return Event(kind=Kind.ACTIVITY_COMPLETED, at=now(), task=work.task, result=outcome.output)
        case Failed():
            return Event(
                kind=Kind.ACTIVITY_FAILED, at=now(), task=work.task, reason=outcome.reason, details=outcome.details
            )
