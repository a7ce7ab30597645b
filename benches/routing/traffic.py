"""Which requests come, how big and when? Sizes of a real trace; arrivals with gaps in which a GPU is scaled in."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from random import Random

SIZES = Path(__file__).parents[1] / "data" / "azure-llm-2023-conv.csv"
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class TrafficRequest:
    """When it comes, in seconds, and its tokens."""

    at: float
    input_tokens: int
    output_tokens: int


def sizes() -> Sequence[tuple[int, int]]:
    with SIZES.open(encoding="utf-8") as file:
        return [(int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in csv.DictReader(file)]


def steady(per_hour: float, random: Random) -> Iterator[float]:
    """Yield arrivals without memory."""
    at = 0.0
    while True:
        at += random.expovariate(per_hour / HOUR_S)
        yield at


def hours(per_hour: float, random: Random) -> Iterator[float]:
    """Yield arrivals of people at work: two busy hours, six quiet ones, of random length."""
    return bursts(per_hour, random, busy_s=2 * HOUR_S)


def quarters(per_hour: float, random: Random) -> Iterator[float]:
    """Yield arrivals that no rule foresees: they stop about when a session has paid for itself."""
    return bursts(per_hour, random, busy_s=HOUR_S / 4)


def bursts(per_hour: float, random: Random, *, busy_s: float) -> Iterator[float]:
    """Yield a quarter of the time 3.7 times as many as on average, else a tenth."""
    at, busy = 0.0, True
    while True:
        ends = at + random.expovariate(1 / (busy_s if busy else 3 * busy_s))
        rate = (per_hour * 3.7 if busy else per_hour * 0.1) / HOUR_S
        while (at := at + random.expovariate(rate)) < ends:
            yield at
        at, busy = ends, not busy


def traffic(arrivals: Iterator[float], requests: int) -> Sequence[TrafficRequest]:
    pairs = zip(islice(arrivals, requests), cycle(sizes()), strict=False)
    return [TrafficRequest(at, given, said) for at, (given, said) in pairs]
