"""Which requests arrive, how big and when? Sizes from a real trace; arrivals with gaps in which a GPU scales in."""

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
    """Its arrival in seconds, and its tokens."""

    at: float
    input_tokens: int
    output_tokens: int


def sizes() -> Sequence[tuple[int, int]]:
    with SIZES.open(encoding="utf-8") as file:
        return [(int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in csv.DictReader(file)]


def steady(per_hour: float, random: Random) -> Iterator[float]:
    """Yield arrivals of a Poisson process."""
    at = 0.0
    while True:
        at += random.expovariate(per_hour / HOUR_S)
        yield at


def hours(per_hour: float, random: Random) -> Iterator[float]:
    """Yield arrivals of a working day: two busy hours, six quiet ones, of random length."""
    return bursts(per_hour, random, busy_s=2 * HOUR_S)


def quarters(per_hour: float, random: Random) -> Iterator[float]:
    """Yield arrivals that defeat any rule: they stop about when a GPU session has paid for itself."""
    return bursts(per_hour, random, busy_s=HOUR_S / 4)


def bursts(per_hour: float, random: Random, *, busy_s: float) -> Iterator[float]:
    """Yield 3.7 times the average rate a quarter of the time, else a tenth of it."""
    at, busy = 0.0, True
    while True:
        ends = at + random.expovariate(1 / (busy_s if busy else 3 * busy_s))
        rate = (per_hour * 3.7 if busy else per_hour * 0.1) / HOUR_S
        while (at := at + random.expovariate(rate)) < ends:
            yield at
        at, busy = ends, not busy


def traffic(arrivals: Iterator[float], requests: int) -> Sequence[TrafficRequest]:
    pairs = zip(islice(arrivals, requests), cycle(sizes()), strict=False)
    return [TrafficRequest(at, prompt, answer) for at, (prompt, answer) in pairs]
