"""Which orchestrations and activities run now? Wake-ups are kept in memory; the database holds the truth."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from devhost.clock import now
from devhost.console import log_line
from devhost.engine.background_tasks import BackgroundTasks
from devhost.engine.completion_waiters import CompletionWaiters
from devhost.engine.entities import EngineHooks, EntityScheduler
from devhost.engine.episodes import (
    activity_result_event,
    commit_decision,
    commit_termination,
    new_episode,
    read_inbox,
    termination_event,
)
from devhost.engine.history_cache import HistoryCache
from devhost.engine.model.commands import Completed, Failed, OrchestratorDecision
from devhost.engine.model.events import HistoryEvent
from devhost.engine.model.executor import EngineLimits, Executor, NotForThisHostError, RedeliverError
from devhost.engine.model.instances import TERMINAL_STATUSES, InstanceQuery, OrchestrationInstance, OrchestrationStart
from devhost.engine.model.work_items import ActivityWorkItem, Episode, is_entity_id
from devhost.engine.redeliveries import RedeliveryCounter
from devhost.engine.storage.database import StorageThread
from devhost.engine.storage.entity_store import EntityStore
from devhost.engine.storage.episode_commit import CommitEffects, EpisodeCommit, commit_episode
from devhost.engine.storage.maintenance import purge_matching, rewind
from devhost.engine.storage.store import InstanceSnapshot, TaskHubStore
from devhost.engine.timer_queue import TimerQueue

LONG_HISTORY_EVENTS = 5000

type LoadedInstance = tuple[InstanceSnapshot | None, list[HistoryEvent]]


class Engine:
    def __init__(
        self,
        *,
        store: TaskHubStore,
        storage: StorageThread,
        executor: Executor,
        limits: EngineLimits,
        tasks: BackgroundTasks,
    ) -> None:
        self.store = store
        self.storage = storage
        self.executor = executor
        self.tasks = tasks
        self.running = BackgroundTasks(tasks.on_failure)
        self.episode_slots = asyncio.Semaphore(limits.orchestrators)
        self.activity_slots = asyncio.Semaphore(limits.activities)
        self.limits = limits
        self.redeliveries = RedeliveryCounter(store=store, storage=storage)
        self.timers = TimerQueue(fire=self.fire_timers, read=lambda: storage.persist(store.timers))
        self.active: set[str] = set()
        self.pending_wakeups: set[str] = set()
        self.history_cache = HistoryCache()
        self.completion_waiters = CompletionWaiters()
        self.stopping = False
        hooks = EngineHooks(
            redeliveries=self.redeliveries, spawn=self.spawn, wake=self.wake, stopping=lambda: self.stopping
        )
        self.entities = EntityScheduler(
            store=EntityStore(store=store), storage=storage, executor=executor, hooks=hooks, limits=limits
        )

    async def recover(self) -> None:
        """Resumes the work that an earlier host left, then starts the timers."""
        backlog = await self.storage.persist(self.store.recover, self.limits.activities)
        await self.redeliveries.recover()
        if backlog.work or backlog.instances:
            log_line(
                f"recovering: {len(backlog.instances)} instances continue, {len(backlog.work)} activities run again"
            )
        self.apply_effects(
            CommitEffects(work=tuple(backlog.work), timers=tuple(backlog.timers), wake=tuple(backlog.instances))
        )
        self.entities.wake_all(backlog.entities)
        self.tasks.spawn(self.timers.run())

    def stop(self) -> None:
        """Starts no more episodes, activities or timers."""
        self.stopping = True

    async def drain(self, timeout_s: float) -> None:
        """Lets running episodes and activities end within `timeout_s`; the next host repeats the others."""
        await self.running.wait(timeout_s)
        await self.running.stop()

    async def start(self, start: OrchestrationStart, *, replace_running: bool = False) -> None:
        """Raises InstanceRunningError unless `replace_running`, which replaces a running instance."""
        await self.write_and_wake(partial(self.store.start, replace_running=replace_running), start, wake=start.id)

    async def send(self, instance: str, event: HistoryEvent) -> None:
        """Raises InstanceNotFoundError or InstanceEndedError."""
        await self.write_and_wake(self.store.send, instance, event, wake=instance)

    async def purge(self, instance: str) -> None:
        """Raises InstanceNotFoundError or InstanceRunningError."""
        await self.storage.run(self.store.purge, instance)
        self.history_cache.remove(instance)

    async def purge_matching(self, query: InstanceQuery) -> int:
        """Removes the completed instances that match the query; returns their number."""
        removed = await self.storage.run(purge_matching, self.store, query)
        for instance in removed:
            self.history_cache.remove(instance)
        return len(removed)

    async def rewind(self, instance: str, reason: str) -> None:
        """Raises InstanceNotFoundError or InstanceNotFailedError."""

        async def rewind_and_wake() -> None:
            for one in await self.storage.run(rewind, self.store, instance, reason, now()):
                self.wake(one)

        await asyncio.shield(asyncio.ensure_future(rewind_and_wake()))

    async def get(self, instance: str) -> OrchestrationInstance | None:
        return await self.storage.run(self.store.get, instance)

    async def wait_for_completion(self, instance: str, timeout_s: float) -> OrchestrationInstance | None:
        """Returns the instance when it has completed, or None if it has not within `timeout_s`."""
        with self.completion_waiters.watch(instance) as ended:
            found = await self.get(instance)
            if found is None or found.status not in TERMINAL_STATUSES:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), timeout_s)
                found = await self.get(instance)
        return found if found is not None and found.status in TERMINAL_STATUSES else None

    async def history(self, instance: str) -> list[HistoryEvent]:
        return await self.storage.run(self.store.history, instance)

    async def query(self, query: InstanceQuery) -> list[OrchestrationInstance]:
        return await self.storage.run(self.store.query, query)

    async def write_and_wake(self, step: Callable[..., None], *args: Any, wake: str) -> None:
        """Completes the write and the wake-up even if the caller is cancelled."""

        async def change_and_wake() -> None:
            await self.storage.run(step, *args)
            self.wake(wake)

        await asyncio.shield(asyncio.ensure_future(change_and_wake()))

    async def fire_timers(self, timers: list[Any]) -> None:
        for one in await self.storage.persist(self.store.fire_timers, timers, now()):
            (self.entities.wake if is_entity_id(one) else self.wake)(one)

    def apply_effects(self, effects: CommitEffects) -> None:
        for work in effects.work:
            self.spawn(self.run_activity(work))
        self.timers.add(effects.timers)
        for instance in effects.wake:
            self.wake(instance)
        self.entities.wake_all(effects.entities)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self.stopping:
            work.close()
        else:
            self.running.spawn(work)

    def wake(self, instance: str) -> None:
        self.pending_wakeups.add(instance)
        if instance not in self.active:
            self.active.add(instance)
            self.spawn(self.run_episodes(instance))

    async def run_episodes(self, instance: str, loaded: LoadedInstance | None = None) -> None:
        """Runs episodes while the inbox has messages; those that came after `loaded` was read have added a wake-up."""
        try:
            if loaded is not None:
                async with self.episode_slots:
                    await self.run_episode(instance, loaded)
            while instance in self.pending_wakeups and not self.stopping:
                async with self.episode_slots:
                    self.pending_wakeups.discard(instance)
                    await self.run_episode(instance)
        finally:
            self.active.discard(instance)

    async def load(self, instance: str, step: Callable[[tuple[str, int]], InstanceSnapshot | None]) -> LoadedInstance:
        execution, known = self.history_cache.get(instance)
        snapshot = await self.storage.persist(step, (execution, len(known)))
        if snapshot is None or snapshot.instance.execution != execution:
            return snapshot, snapshot.history if snapshot else []
        return snapshot, known + snapshot.history

    async def run_episode(self, instance: str, loaded: LoadedInstance | None = None) -> None:
        snapshot, past_events = loaded or await self.load(instance, lambda known: self.store.load(instance, known))
        if snapshot is None or snapshot.instance.status in TERMINAL_STATUSES:
            await self.storage.persist(self.store.drop_inbox_of_ended, instance)
            return
        await self.process_episode(snapshot, past_events)

    async def process_episode(self, snapshot: InstanceSnapshot, past_events: list[HistoryEvent]) -> None:
        inbox = read_inbox(snapshot.inbox)
        if not inbox.events:
            return
        episode = new_episode(snapshot.instance, past_events, inbox, now())
        end = termination_event(episode)
        if end is not None:
            commit = commit_termination(episode, inbox, end.reason or "", now())
        else:
            decision = await self.request_decision(episode)
            if decision is None:
                return
            commit = commit_decision(episode, inbox, decision, now())
        effects = await self.storage.persist(commit_episode, self.store, commit)
        if effects is not None:
            self.update_history_cache(episode, commit)
            self.apply_effects(effects)
        await self.redeliveries.clear(episode.instance.id)

    async def request_decision(self, episode: Episode) -> OrchestratorDecision | None:
        """Returns None if the worker died, which schedules the episode again, or if another host must run it."""
        name, instance = episode.instance.name, episode.instance.id
        what = f"orchestrator {name} of {instance}"
        reason = self.redeliveries.limit_error(instance, self.limits.orchestrator_redeliveries, what)
        if reason is not None:
            return OrchestratorDecision(outcome=Failed(reason=f"Orchestrator function '{name}' failed: {reason}"))
        try:
            async with self.redeliveries.isolated(instance, self.limits.orchestrator_redeliveries):
                return await self.executor.run_episode(episode)
        except RedeliverError:
            await self.redeliveries.record_loss(instance, what)
            self.pending_wakeups.add(instance)
            return None
        except NotForThisHostError:
            return None

    def update_history_cache(self, episode: Episode, commit: EpisodeCommit) -> None:
        instance = episode.instance
        if commit.restart is not None or commit.status in TERMINAL_STATUSES:
            self.history_cache.remove(instance.id)
        else:
            self.history_cache.put(instance.id, instance.execution, [*episode.past_events, *commit.events])
            self.warn_of_long_history(episode, len(episode.past_events) + len(commit.events))
        if commit.restart is None and commit.status in TERMINAL_STATUSES:
            self.completion_waiters.notify(instance.id)

    @staticmethod
    def warn_of_long_history(episode: Episode, events: int) -> None:
        if len(episode.past_events) < LONG_HISTORY_EVENTS <= events:
            what = f"the history of orchestrator {episode.instance.name} ({episode.instance.id}) has {events} events"
            log_line(f"warning: {what}, and every episode replays them: use continue_as_new or sub-orchestrations")

    async def run_activity(self, work: ActivityWorkItem) -> None:
        redelivery_id = f"{work.instance}#{work.task}"
        if work.redeliveries:
            self.redeliveries.counts[redelivery_id] = work.redeliveries
        async with self.activity_slots:
            while not self.stopping:
                outcome = await self.execute_activity(work, redelivery_id)
                if outcome is None:
                    continue
                self.redeliveries.counts.pop(redelivery_id, None)
                await self.record_result(work, activity_result_event(work, outcome, now()))
                return

    async def record_result(self, work: ActivityWorkItem, event: HistoryEvent) -> None:
        """Records a result. If the instance has no active episode, the next episode starts from the same read."""
        instance = work.instance
        if self.stopping or instance in self.active:
            if await self.storage.persist(self.store.finish_work, work, event):
                self.wake(instance)
            return
        self.active.add(instance)
        try:
            loaded = await self.load(instance, lambda known: self.store.finish_and_load(work, event, known))
        except BaseException:
            self.active.discard(instance)
            raise
        self.spawn(self.run_episodes(instance, loaded))

    async def execute_activity(self, work: ActivityWorkItem, redelivery_id: str) -> Completed | Failed | None:
        """Returns None if the worker died during the activity. A removed instance ends the retries."""
        what = f"activity {work.name} of {work.instance}"
        reason = self.redeliveries.limit_error(redelivery_id, self.limits.activity_redeliveries, what)
        if reason is not None:
            return Failed(reason=f"Activity function '{work.name}' failed:  {reason}")
        try:
            async with self.redeliveries.isolated(redelivery_id, self.limits.activity_redeliveries):
                return await self.executor.run_activity(work)
        except RedeliverError:
            times = await self.storage.persist(self.store.count_redelivery, work.row)
            if not times:
                return Failed(reason="the instance was removed")
            self.redeliveries.set_count(redelivery_id, what, times)
            return None
