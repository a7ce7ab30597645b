"""What do batches cost that wait for each other, beside the least possible cost, and beside batches that never wait?

Batches arrive at random, with windows from 10 minutes to a day; some have a per-token API as an alternative. The
product's own decision runs at each arrival and at each latest start. The work itself is paid, and takes no time.
"""

import math
from collections.abc import Callable, Sequence
from copy import replace
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Final, NamedTuple

from benches.tables import print_table
from domain.batches.start_time import BatchOption, StartDecision, WaitingLines, decide_start, waiting_lines

RATE: Final = 0.0003947
START_S: Final = 60.0
IDLE_S: Final = 600.0
LINE_S: Final = 0.4
API_LINE: Final = 0.00036
TRACES: Final = 20
BATCHES: Final = 60
DAYS: Final = 3
WINDOWS_S: Final = (600.0, 3600.0, 6 * 3600.0, 86_400.0)
GPU: Final = BatchOption(
    backend="gpu",
    line_cost=Decimal(str(RATE * LINE_S)),
    line_s=LINE_S,
    start_cost=Decimal(str(RATE * (START_S + IDLE_S))),
    start_s=START_S,
    is_up=False,
)
API: Final = BatchOption(backend="api", line_cost=Decimal(str(API_LINE)), line_s=0.05)


class TracedBatch(NamedTuple):
    """A batch of a trace: when it arrives, when it expires, and its lines."""

    at: float
    expires_at: float
    lines: int

    @property
    def latest(self) -> float:
        """The latest start, with the same margin as the product's."""
        return max(self.at, self.expires_at - 1.5 * GPU.lasts_s(self.lines))


def trace(seed: int) -> Sequence[TracedBatch]:
    """Return batches in the order of their arrival: mostly small, some of thousands of lines."""
    random = Random(seed)  # noqa: S311 - a benchmark's traces must repeat
    times = sorted(random.uniform(0.0, DAYS * 86_400.0) for _ in range(BATCHES))
    found = list[TracedBatch]()
    for at in times:
        lines = min(6000, int(random.lognormvariate(5.5, 1.3)) + 1)
        fitting = [each for each in WINDOWS_S if each > 2 * GPU.lasts_s(lines)]
        found.append(TracedBatch(at, at + random.choice(fitting), lines))
    return found


type Decide = Callable[[TracedBatch, Sequence[BatchOption], WaitingLines, float], StartDecision]


def decide(batch: TracedBatch, options: Sequence[BatchOption], waiting: WaitingLines, now: float) -> StartDecision:
    """Decide as the product does. The traces' work takes no time, so batches take none from each other."""
    alone = waiting._replace(beside=0)
    return decide_start(options, lines=batch.lines, waiting=alone, now=now, expires_at=batch.expires_at)


def at_once(batch: TracedBatch, options: Sequence[BatchOption], _waiting: WaitingLines, now: float) -> StartDecision:
    """Begin each batch at its arrival, where it costs least then."""
    best = min(options, key=lambda each: each.cost(batch.lines))
    started = "" if best.is_up else best.backend
    return StartDecision(starts=True, reason="at once", latest_start=now, backend=started)


@dataclass(slots=True, kw_only=True)
class Simulation:
    """The batches of a trace as they wait and run. `warm_until` is when the GPU goes where nothing more comes."""

    has_api: bool
    decide: Decide
    cost: float = 0.0
    warm_until: float = 0.0

    def options(self, now: float) -> Sequence[BatchOption]:
        gpu = GPU
        if now < self.warm_until:
            added = max(0.0, IDLE_S - (self.warm_until - now))
            gpu = replace(GPU, is_up=True, start_cost=Decimal(str(round(RATE * added, 9))), start_s=0.0)
        return (gpu, API) if self.has_api else (gpu,)

    def run(self, batches: Sequence[TracedBatch]) -> float:
        """Return what all batches cost in dollars."""
        waiting = list[TracedBatch]()
        times = sorted({each.at for each in batches} | {each.latest for each in batches})
        coming = list(batches)
        for now in times:
            waiting += [each for each in coming if each.at <= now]
            coming = [each for each in coming if each.at > now]
            while begun := self.begin_some(waiting, now):
                waiting = [each for each in waiting if each not in begun]
        return self.cost

    def begin_some(self, waiting: Sequence[TracedBatch], now: float) -> Sequence[TracedBatch]:
        """Begin a batch that does not wait any longer, the one that has to begin first."""
        lines = waiting_lines(0, [each.lines for each in waiting])
        for each in sorted(waiting, key=lambda batch: batch.latest):
            options = self.options(now)
            decision = self.decide(each, options, lines, now)
            if decision.starts:
                self.begin(each, options, decision, now)
                return (each,)
        return ()

    def begin(self, batch: TracedBatch, options: Sequence[BatchOption], decision: StartDecision, now: float) -> None:
        """Run a batch where the decision says, or else where its lines cost least of what is up."""
        up = [each for each in options if each.is_up]
        named = [each for each in options if each.backend == decision.backend]
        chosen = named[0] if named else min(up, key=lambda each: each.cost(batch.lines))
        self.cost += float(chosen.cost(batch.lines))
        if chosen.backend == GPU.backend:
            self.warm_until = max(self.warm_until, now + IDLE_S)


def clairvoyant(batches: Sequence[TracedBatch], *, has_api: bool) -> float:
    """Return the least cost: the GPU works at some times, and what waits then runs on it; all else uses the API.

    Between two times the GPU stays idle or starts again, whichever costs less.
    """
    times = sorted({each.at for each in batches} | {each.latest for each in batches})
    best = {-1.0: 0.0}
    for end in (*times, math.inf):
        best[end] = min(
            cost + between(start, end) + missed(start, end, batches, has_api=has_api)
            for start, cost in best.items()
            if start < end
        )
    return best[math.inf] + sum(each.lines * float(GPU.line_cost) for each in batches)


def between(start: float, end: float) -> float:
    """Return what the GPU costs beside its work from one time to the next; at first it is cold."""
    if end == math.inf:
        return 0.0
    return RATE * (START_S + IDLE_S if start < 0 else min(end - start, START_S + IDLE_S))


def missed(start: float, end: float, batches: Sequence[TracedBatch], *, has_api: bool) -> float:
    """Return what batches cost more that wait only between two times at which the GPU works."""
    lines = sum(each.lines for each in batches if start < each.at and each.latest < end)
    if lines and not has_api:
        return math.inf
    return lines * (API_LINE - float(GPU.line_cost))


class TraceResult(NamedTuple):
    """The costs of a trace in dollars."""

    waits: float
    never_waits: float
    least: float


def measure_trace(seed: int, *, has_api: bool) -> TraceResult:
    batches = trace(seed)
    return TraceResult(
        waits=Simulation(has_api=has_api, decide=decide).run(batches),
        never_waits=Simulation(has_api=has_api, decide=at_once).run(batches),
        least=clairvoyant(batches, has_api=has_api),
    )


def print_traces() -> None:
    """Print the costs of all traces, with and without an API beside the GPU."""
    rows = list[Sequence[str]]()
    for has_api in (False, True):
        found = [measure_trace(seed, has_api=has_api) for seed in range(TRACES)]
        waits, least = sum(each.waits for each in found), sum(each.least for each in found)
        worst = max(each.waits / each.least for each in found)
        dearest = max(each.waits / each.never_waits for each in found)
        name = "a GPU and an API" if has_api else "a GPU"
        rows.append((name, f"{waits / least:.3f}", f"{worst:.3f}", f"{dearest:.3f}"))
    head = (
        f"{TRACES} traces on",
        "cost / least cost",
        "the worst trace",
        "the worst cost / cost of starting each batch at once",
    )
    print_table(head, rows)
