"""Which requests arrive, how big and when? Real clients with real gaps, and patterns that are drawn."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from math import cos, exp, pi
from pathlib import Path
from random import Random
from typing import Any

DATA = Path(__file__).parents[1] / "data"
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
WINDOW_S = 600.0
"""ServeGen has one rate for each ten minutes."""

MOST_TOKENS = 4096
"""A longer answer of a trace is cut off here, as the product's limit of an answer would do."""


@dataclass(frozen=True, slots=True)
class TrafficRequest:
    """Its arrival in seconds, and its tokens."""

    at: float
    input_tokens: int
    output_tokens: int


@cache
def azure_sizes() -> Sequence[tuple[int, int]]:
    with (DATA / "azure-llm-2023-conv.csv").open(encoding="utf-8") as file:
        return [(int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in csv.DictReader(file)]


@cache
def servegen_clients() -> Mapping[str, Mapping[str, Any]]:
    """Return each client: the share of its requests by window (millionths), and 64 quantiles of both its sizes."""
    return json.loads((DATA / "servegen-m-small.json").read_text(encoding="utf-8"))


def steady(per_hour: float, random: Random) -> Iterator[float]:
    """Yield arrivals of a Poisson process."""
    at = 0.0
    while True:
        at += random.expovariate(per_hour / HOUR_S)
        yield at


def bursts(per_hour: float, random: Random, *, busy_s: float) -> Iterator[float]:
    """Yield 3.7 times the average rate a quarter of the time, else a tenth of it."""
    at, busy = 0.0, True
    while True:
        ends = at + random.expovariate(1 / (busy_s if busy else 3 * busy_s))
        rate = (per_hour * 3.7 if busy else per_hour * 0.1) / HOUR_S
        while (at := at + random.expovariate(rate)) < ends:
            yield at
        at, busy = ends, not busy


def hours(per_hour: float, random: Random) -> Iterator[float]:
    """Yield arrivals of a working day: two busy hours, six quiet ones, of random length."""
    return bursts(per_hour, random, busy_s=2 * HOUR_S)


def quarters(per_hour: float, random: Random) -> Iterator[float]:
    """Yield arrivals that defeat any rule: they stop about when a GPU session has paid for itself."""
    return bursts(per_hour, random, busy_s=HOUR_S / 4)


def fives(per_hour: float, random: Random) -> Iterator[float]:
    """Yield arrivals of short bursts: five busy minutes, fifteen quiet ones, of random length."""
    return bursts(per_hour, random, busy_s=HOUR_S / 12)


def days(per_hour: float, random: Random) -> Iterator[float]:
    """Yield arrivals of a day: the busiest hour has some twenty times the rate of the quietest."""
    at, highest = 0.0, per_hour * 2.6
    while True:
        at += random.expovariate(highest / HOUR_S)
        share = exp(1.5 * cos(2 * pi * at / DAY_S)) / exp(1.5)
        if random.random() < share:
            yield at


PATTERNS: Mapping[str, Callable[[float, Random], Iterator[float]]] = {
    "steady": steady,
    "hours": hours,
    "quarters": quarters,
    "fives": fives,
    "days": days,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Where the requests of a cell come from: a pattern, or a client of ServeGen.

    `per_hour` is the mean rate of a pattern. Of a client, the windows from `first_day` on for `length_days` count, and
    it is thinned to about `requests` requests: gaps stay as they are, and bursts keep their shape.
    """

    source: str
    requests: int
    seed: int
    per_hour: float = 0.0
    first_day: float = 0.0
    length_days: float = 14.0

    def draw(self) -> Sequence[TrafficRequest]:
        random = Random(f"{self.source} {self.seed}")  # noqa: S311 - draws traffic
        return self.of_client(random) if self.source.isdigit() else self.of_pattern(random)

    def of_pattern(self, random: Random) -> Sequence[TrafficRequest]:
        times = islice(PATTERNS[self.source](self.per_hour, random), self.requests)
        offset = random.randrange(len(azure_sizes()))
        sizes = islice(cycle(azure_sizes()), offset, None)
        return [request(at, prompt, answer) for at, (prompt, answer) in zip(times, sizes, strict=False)]

    def of_client(self, random: Random) -> Sequence[TrafficRequest]:
        client = servegen_clients()[self.source]
        first = round(self.first_day * DAY_S / WINDOW_S)
        shares: Sequence[int] = client["shares"][first : first + round(self.length_days * DAY_S / WINDOW_S)]
        mean = self.requests / max(1, sum(shares))
        times = [
            WINDOW_S * (window + random.random())
            for window, share in enumerate(shares)
            for _ in range(poisson(mean * share, random))
        ]
        sizes = client["input_tokens"], client["output_tokens"]
        return [request(at, random.choice(sizes[0]), random.choice(sizes[1])) for at in sorted(times)]


def request(at: float, input_tokens: int, output_tokens: int) -> TrafficRequest:
    return TrafficRequest(at, max(1, input_tokens), min(MOST_TOKENS, max(1, output_tokens)))


def poisson(mean: float, random: Random) -> int:
    """Draw the number of arrivals in a window."""
    count, at = 0, random.expovariate(1.0)
    while at < mean:
        count, at = count + 1, at + random.expovariate(1.0)
    return count
