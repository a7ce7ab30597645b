"""Does a turn keep its guarantees when workers crash or stall, with cancels, sweeps and second starts in between?

Every seed is one story of one turn on a few workers that share a store, in an event loop whose timers cost no time.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import replace
from dataclasses import dataclass, field
from itertools import groupby
from random import Random
from typing import Any

import pytest

from activities.maintenance.sweep import SweepDelays
from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from clients.orchestrations import turn_wire
from domain.batches.batch import Batch
from domain.errors import GanglionError, Retryable
from domain.fleet.catalog import ContinuationMode
from domain.fleet.failure_classes import Failure, FailureKind
from domain.log.events import EventKind, LogEvent, ResponseStatus, Slot, TokenUsage
from domain.log.transcript import kept_items, read_log
from domain.money.attempt_charge import AttemptStatus
from domain.money.budgets import Budgets
from domain.money.ledger_records import ReservationStatus
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookDelivery, WebhookEndpoints
from state.money.ledger import Ledger
from state.turns.responses import TurnStore
from tests.fakes.clocks import LoopClock, in_no_time
from tests.fakes.histories import NamedSeed
from tests.fakes.orchestration import Run
from tests.fakes.stores import CrashError, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER, SETTINGS, World, backend

pytestmark = pytest.mark.slow

TEXTS = ("one two three four five six seven", "one two 3 4 5 6 7 8 9")
"""What a backend may answer. They begin alike, so that a mixture of them is possible."""

CAPS = (512, 2, 4)
"""What an attempt reserves at least; most answers reach the smaller ones."""

HANDOVER_S = 20.0
DELAYS = SweepDelays(unbegun_s=1.0, silent_s=1.0, unsettled_s=1.0)
ZOMBIES = 2
NORMAL = range(300)
CHUNK, CHUNKS = 1000, 20


@dataclass(slots=True)
class RandomBackend:
    """A backend that sends one of the texts at any pace, and fails at random."""

    random: Random
    failing: float
    continues: ContinuationMode

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        assert not (call.partial and self.continues is ContinuationMode.NO)
        await asyncio.sleep(self.random.choice([0, 0.05, 0.5]))
        yield self.speak(call.partial, call.max_output_tokens)

    async def authenticate(self) -> None:
        await asyncio.sleep(0)

    async def probe(self) -> None:
        await asyncio.sleep(0)

    async def speak(self, partial: str, limit: int) -> AsyncIterator[TextPiece | AnswerEnd]:
        rest = self.random.choice([text for text in TEXTS if text.startswith(partial)]).removeprefix(partial)
        sent = 0
        while rest and sent < limit:
            await asyncio.sleep(
                self.random.choice([0, 0, 0.01, 0.06, 0.6, 2 * HANDOVER_S * (self.random.random() < 0.05)])
            )
            if self.random.random() < self.failing:
                raise BackendError(self.failure(text_received=sent > 0))
            size, sent = self.random.randint(1, 9), sent + 1
            yield TextPiece(text=rest[:size])
            rest = rest[size:]
        usage = TokenUsage(input_tokens=5, output_tokens=sent) if self.random.random() < 0.8 else None
        yield AnswerEnd(reason="length" if rest else "stop", usage=usage)

    def failure(self, *, text_received: bool) -> Failure:
        kind = self.random.choice([FailureKind.RESET, FailureKind.TRUNCATED, FailureKind.STATUS])
        if kind is FailureKind.STATUS and not text_received:
            return Failure(kind=kind, status=self.random.choice([429, 500, 503]))
        return Failure(kind=FailureKind.RESET, text_received=text_received)


@dataclass(slots=True)
class Story:
    """One turn, the workers that run its steps, and what readers saw."""

    random: Random
    clock: LoopClock
    store: MemoryStore
    response: Response
    continues: ContinuationMode
    cap: int = 512
    is_calm: bool = False
    tasks: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])
    executions: int = 0
    running: int = 0
    seen: list[Sequence[LogEvent]] = field(default_factory=list[Sequence[LogEvent]])
    crashes: int = 0
    zombies: int = 0
    items: int = 0
    attempts: int = 0

    def worker(self) -> World:
        """Return the steps as one worker process runs them; it may crash at any store call."""
        faults = Faults(
            rate=0 if self.is_calm else self.random.choice([0, 0.01, 0.08]), pause=self.random.choice([0, 3])
        )
        chance = Random(self.random.getrandbits(64))  # noqa: S311 - a story must repeat
        failing = 0 if self.is_calm else self.random.choice([0, 0.05, 0.2])
        backends = {
            name: (backend(name, continues), RandomBackend(self.random, failing, continues))
            for name, continues in (("main", self.continues), ("spare", ContinuationMode.NO))
        }
        settings = replace(SETTINGS, handover_s=HANDOVER_S, default_output_tokens=self.cap)
        store = FlakyStore(self.store, chance, faults)
        return World(store=store, clock=self.clock, backends=backends, settings=settings)

    def spawn(self, work: Awaitable[Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        return task

    async def deliver(self, name: str, request: Any) -> Any:
        """Deliver a step as a host does: again where its worker crashed, or seems to have crashed."""
        runs: set[asyncio.Task[Any]] = set()
        while True:
            runs.add(self.spawn(self.worker().steps[name](request)))
            wait_s = None if self.is_calm or len(runs) > ZOMBIES else self.random.choice([None, None, 0.1, 1.0, 5.0])
            ended, runs = await asyncio.wait(runs, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            self.zombies += not ended
            for run in ended:
                if not isinstance(run.exception(), CrashError):
                    self.spawn(self.late(name, request))
                    return run.result()
                self.crashes += 1

    async def late(self, name: str, request: Any) -> None:
        """Sometimes deliver a step once more, long after its result."""
        if not self.is_calm and self.random.random() < 0.1:
            await asyncio.sleep(self.random.choice([0.01, 1.0, 4.0]))
            await self.worker().steps[name](request)

    def steps(self) -> Mapping[str, Callable[[Any], Awaitable[Any]]]:
        def delivered(name: str) -> Callable[[Any], Awaitable[Any]]:
            return lambda request: self.deliver(name, request)

        return {name: delivered(name) for name in self.worker().steps}

    async def execute(self) -> None:
        """Run the orchestration once; a host runs one of an id at a time."""
        self.executions += 1
        self.running += 1
        run = Run(clock=self.clock, steps=self.steps(), done=[], history=[])
        await run.respond(turn_wire(self.response), execution=self.executions)
        self.running -= 1

    async def start(self, response: Response) -> None:
        await asyncio.sleep(0)
        if not self.running:
            self.spawn(self.execute())

    async def start_delivery(self, delivery: WebhookDelivery) -> None:
        raise AssertionError(f"no endpoint is registered, and {delivery.endpoint} has a delivery")

    async def start_batch(self, batch: Batch) -> None:
        raise AssertionError(f"no batch was created, and {batch.id} starts")

    async def wake_batch(self, batch_id: str, looks: int) -> None:
        raise AssertionError(f"no batch was created, and {batch_id} wakes after {looks} looks")

    async def signal_cancelled(self, response_id: str) -> None:
        await asyncio.sleep(0)

    async def signal_turn_ended(self, response_id: str) -> None:
        await asyncio.sleep(0)

    async def signal_place(self, response_id: str, route: int) -> None:
        await asyncio.sleep(0)

    async def signal_decided(self, response_id: str, request_id: str) -> None:
        await asyncio.sleep(0)

    async def is_running(self, instance_id: str) -> bool:
        """Return the truth, or the answer of a host that has lost its state."""
        await asyncio.sleep(0)
        return self.running > 0 and (self.is_calm or self.random.random() < 0.6)

    async def sweep(self) -> None:
        world = self.worker()
        sweep = world.sweep(DELAYS)
        await sweep.sweep(self)

    async def cancel(self) -> None:
        await self.worker().turns.finish(OWNER, self.response.id, status=ResponseStatus.CANCELLED)

    async def read(self) -> None:
        """Read the log now and then until it has ended."""
        turns = TurnStore(self.store, self.clock, WebhookEndpoints())
        ended = False
        while not ended:
            slots = await turns.slots(OWNER, self.response.id)
            self.seen.append(events_of(slots))
            ended = read_log(slots).ending is not None
            await asyncio.sleep(self.random.choice([0.02, 0.2, 3.0]))

    async def now_and_then(self, act: Callable[[], Awaitable[None]], times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(self.random.choice([0.01, 0.4, 2.0, 9.0]))
            await tolerate(act)


async def tolerate(act: Callable[[], Awaitable[None]]) -> None:
    """Run an act whose process may crash or whose store may fail."""
    try:
        await act()
    except (Retryable, CrashError):
        return


def events_of(slots: Sequence[Slot]) -> list[LogEvent]:
    return [event for slot in slots for event in slot.events]


async def play(seed: int) -> Story:
    """Run one story to its end."""
    chance = Random(seed)  # noqa: S311 - a story must repeat
    clock = LoopClock(seed=seed)
    store = MemoryStore(clock)
    response = await World(store=store, clock=clock, backends={}).admit("count")
    continues = chance.choice([ContinuationMode.ASSISTANT_PREFILL, ContinuationMode.NO])
    cap = CAPS[seed % len(CAPS)]
    story = Story(random=chance, clock=clock, store=store, response=response, continues=continues, cap=cap)
    readers = [story.spawn(story.read()) for _ in range(2)]
    story.spawn(story.execute())
    acts = [story.spawn(story.now_and_then(story.sweep, chance.randint(0, 6)))]
    acts += [story.spawn(story.now_and_then(story.cancel, 1)) for _ in range(chance.choice([0, 0, 1, 2]))]
    acts += [story.spawn(story.now_and_then(story.execute, 1)) for _ in range(chance.choice([0, 1]))]
    await settled(story, set(readers))
    story.is_calm = True
    for _ in range(2):
        await clock.sleep(60)
        await story.sweep()
        await settled(story, set(readers))
    await asyncio.gather(*readers)
    return story


async def settled(story: Story, readers: set[asyncio.Task[Any]]) -> None:
    """Wait for all tasks, stalled workers too. Unexpected errors are raised here."""
    while waiting := story.tasks - readers:
        ended, _ = await asyncio.wait(waiting)
        story.tasks -= ended
        for task in ended:
            if not isinstance(task.exception(), CrashError | GanglionError | None):
                task.result()


async def check(seed: int) -> Story:
    """Run a story and check its guarantees."""
    return await verified(await play(seed))


async def verified(story: Story) -> Story:
    """Check the guarantees of a story that has ended."""
    turns, ledger = TurnStore(story.store, story.clock, WebhookEndpoints()), Ledger(story.store, story.clock, Budgets())
    slots = await turns.slots(OWNER, story.response.id)
    log, events = read_log(slots), events_of(slots)
    kinds = [event.kind for event in events]
    assert kinds.count(EventKind.ENDED) == 1
    assert kinds[-1] is EventKind.ENDED
    assert kinds.count(EventKind.STARTED) <= 1
    runs = [(name, list(run)) for name, run in groupby(slots, key=lambda slot: slot.writer)]
    assert len(runs) == len({name for name, _ in runs})
    assert all(
        not run[0].events for name, run in runs if name.startswith("infer:")
    )  # may be empty: a turn may end early
    assert all(saw == events[: len(saw)] for saw in story.seen)  # may be empty: not every turn is read
    assert all(
        any(text.startswith(item.text) for text in TEXTS) for item in log.items
    )  # may be empty: a turn may end early
    outcomes = [slot.outcome.attempt for slot in slots if slot.outcome]
    assert outcomes == sorted(set(outcomes))
    answered = next((slot.number for slot in slots if slot.outcome and slot.outcome.result == "done"), len(slots))
    assert not [slot for slot in slots[answered + 1 :] if slot.writer.startswith("infer:")]
    response, kept = await turns.read(OWNER, story.response.id), kept_items(log)
    assert response.status is log.status
    assert len(kept) <= 1
    assert await turns.items(OWNER, response.progress.output_items) == kept
    assert response.status is not ResponseStatus.COMPLETED or [item.text in TEXTS for item in kept] == [True]
    reservation = await ledger.reservation(OWNER, story.response.id)
    assert reservation is not None
    assert reservation.status is ReservationStatus.SETTLED
    attempts = await ledger.attempts(OWNER, story.response.id)
    assert all(
        attempt.charge.status is AttemptStatus.CLOSED for attempt in attempts
    )  # may be empty: a turn may end early
    story.items, story.attempts = len(log.items), len(attempts)
    return story


def run(seed: int) -> Story:
    with NamedSeed(seed):
        return in_no_time(check(seed))


def test_every_story_ends_once_and_completely() -> None:
    stories = [run(seed) for seed in NORMAL]
    assert sum(story.zombies > 0 for story in stories) > len(stories) / 4
    assert sum(story.crashes > 0 for story in stories) > len(stories) / 4
    assert sum(story.items > 0 for story in stories) > len(stories) / 4
    assert sum(story.attempts > 0 for story in stories) > len(stories) / 4


def test_a_story_repeats_by_its_seed() -> None:
    once, again = run(11), run(11)
    assert once.seen == again.seen != []


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_story_of_twenty_thousand_ends_once_and_completely(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        run(seed)
