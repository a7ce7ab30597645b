"""Who runs next? In-memory wake-ups, with the database as the truth."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from devhost.clock import now
from devhost.console import say
from devhost.engine.commit import Effects, commit_turn
from devhost.engine.database import StorageThread
from devhost.engine.entities import Entities, EntityStore, Surroundings
from devhost.engine.events import Event, Kind
from devhost.engine.losses import Losses
from devhost.engine.model import (
    TERMINAL,
    Completed,
    Decision,
    Executor,
    Failed,
    Instance,
    LeaveError,
    Limits,
    Query,
    RedeliverError,
    Start,
    Turn,
    Work,
)
from devhost.engine.store import Snapshot, Store
from devhost.engine.tasks import Tasks
from devhost.engine.timers import Timers
from devhost.engine.turns import commit_of, read, terminate_of, terminated, turn_of
from devhost.engine.upkeep import purge_many, rewind

REMEMBERED_HISTORIES = 2000


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
        self.timers = Timers(fire=self.fire)
        self.active: set[str] = set()
        self.woken: set[str] = set()
        self.histories: OrderedDict[str, tuple[str, list[Event]]] = OrderedDict()
        self.stopping = False
        around = Surroundings(losses=self.losses, begin=self.begin, wake=self.wake, stopping=lambda: self.stopping)
        self.entities = Entities(
            store=EntityStore(store=store), storage=storage, executor=executor, around=around, limits=limits
        )

    async def recover(self) -> None:
        """Takes up what an earlier host left, then starts the clock."""
        backlog = await self.storage.run(self.store.recover)
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

    async def start(self, start: Start) -> None:
        """Raises InstanceRunningError."""
        await self.change(self.store.start, start, wake=start.id)

    async def send(self, instance: str, event: Event) -> None:
        """Raises InstanceNotFoundError or InstanceEndedError."""
        await self.change(self.store.send, instance, event, wake=instance)

    async def purge(self, instance: str) -> None:
        """Raises InstanceNotFoundError or InstanceRunningError."""
        await self.storage.run(self.store.purge, instance)
        self.histories.pop(instance, None)

    async def purge_many(self, query: Query) -> int:
        """Removes the instances of the query that have ended; returns how many they were."""
        gone = await self.storage.run(purge_many, self.store, query)
        for instance in gone:
            self.histories.pop(instance, None)
        return len(gone)

    async def rewind(self, instance: str, reason: str) -> None:
        """Raises InstanceNotFoundError or InstanceNotFailedError."""

        async def rewind_and_wake() -> None:
            for one in await self.storage.run(rewind, self.store, instance, reason, now()):
                self.wake(one)

        await asyncio.shield(asyncio.ensure_future(rewind_and_wake()))

    async def get(self, instance: str) -> Instance | None:
        return await self.storage.run(self.store.get, instance)

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
        for instance in await self.storage.run(self.store.fire, timers, now()):
            self.wake(instance)

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

    async def drive(self, instance: str) -> None:
        """One turn after the other for one instance, as long as there is something to read."""
        while instance in self.woken and not self.stopping:
            async with self.turn_slots:
                self.woken.discard(instance)
                await self.run_turn(instance)
        self.active.discard(instance)

    async def run_turn(self, instance: str) -> None:
        execution, known = self.histories.get(instance, ("", []))
        snapshot = await self.storage.run(self.store.load, instance, (execution, len(known)))
        if snapshot is None or snapshot.instance.status in TERMINAL:
            await self.storage.run(self.store.drop, instance)
            return
        past = known + snapshot.history if execution == snapshot.instance.execution else snapshot.history
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
            self.remember(turn, commit.events, forget=commit.restart is not None or commit.status in TERMINAL)
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
            return await self.executor.turn(turn)
        except RedeliverError:
            await self.losses.count(instance, what)
            self.woken.add(instance)
            return None
        except LeaveError:
            return None

    def remember(self, turn: Turn, events: tuple[Event, ...], *, forget: bool) -> None:
        instance = turn.instance
        self.histories.pop(instance.id, None)
        if not forget:
            self.histories[instance.id] = (instance.execution, [*turn.past, *events])
            if len(self.histories) > REMEMBERED_HISTORIES:
                self.histories.popitem(last=False)

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
                if await self.storage.run(self.store.finish_work, work, result_event(work, outcome)):
                    self.wake(work.instance)
                return

    async def outcome(self, work: Work, place: str) -> Completed | Failed | None:
        """None when the activity was lost with its worker."""
        what = f"activity {work.name} of {work.instance}"
        reason = self.losses.too_many(place, self.limits.redeliveries, what)
        if reason is not None:
            return Failed(reason=f"Activity function '{work.name}' failed:  {reason}")
        try:
            return await self.executor.activity(work)
        except RedeliverError:
            self.losses.note(place, what, await self.storage.run(self.store.redeliver, work.row))
            return None


def result_event(work: Work, outcome: Completed | Failed) -> Event:
    match outcome:
        case Completed():
            return Event(kind=Kind.ACTIVITY_COMPLETED, at=now(), task=work.task, result=outcome.output)
        case Failed():
            return Event(
                kind=Kind.ACTIVITY_FAILED, at=now(), task=work.task, reason=outcome.reason, details=outcome.details
            )
