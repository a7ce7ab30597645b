"""How does this service start, hold, refuse and bill?"""

import argparse
import dataclasses
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

HOLD_STARTS = 3.5
SHORTEST_HOLD_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondsRange:
    """A number of seconds, drawn anew each time between its ends."""

    low: float
    high: float

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2

    def draw(self, source: random.Random) -> float:
        return source.uniform(self.low, self.high)

    def __str__(self) -> str:
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g}-{self.high:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRunOptions:
    """Seconds are the service's own: `speed` of them pass in one second of this machine."""

    start: SecondsRange = SecondsRange(low=5, high=5)
    average_start: float | None = None
    tail: SecondsRange = SecondsRange(low=600, high=600)
    timeout: float = 300.0
    concurrency: int = 8
    max_instances: int = 1
    most_waiting: int | None = None
    abandoned_starts: bool = True
    speed: float = 1.0

    @property
    def hold(self) -> float:
        """How long a request waits for an instance, as Google documents it."""
        average = self.start.mean if self.average_start is None else self.average_start
        return max(HOLD_STARTS * average, SHORTEST_HOLD_S)

    def real_seconds(self, seconds: float) -> float:
        """How long this machine waits for so many seconds of the service."""
        return seconds / self.speed

    def to_json(self) -> dict[str, Any]:
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**fields, "start": str(self.start), "tail": str(self.tail), "hold": self.hold}


def seconds_range_from(text: str) -> SecondsRange:
    low, _, high = text.partition("-")
    span = SecondsRange(low=seconds_from(low), high=seconds_from(high or low))
    if span.high < span.low:
        raise ValueError(f"{text} ends before it begins")
    return span


def seconds_from(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{text} is no number of seconds")
    return seconds


def count_from(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(f"{text} is less than one")
    return count


def speed_from(text: str) -> float:
    speed = seconds_from(text)
    if speed == 0:
        raise ValueError("time can't stand still")
    return speed


def flag_from(text: str) -> bool:
    return {"yes": True, "no": False}[text]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSpec:
    convert: Callable[[str], Any]
    help: str


OPTION_SPECS: Mapping[str, OptionSpec] = {
    "start": OptionSpec(
        convert=seconds_range_from, help="seconds until an instance is ready: 5, or 3-9 drawn for each"
    ),
    "average_start": OptionSpec(
        convert=seconds_from, help="what the service takes for its average start; the mean of --start"
    ),
    "tail": OptionSpec(
        convert=seconds_range_from, help="seconds that an idle instance lives: 600, or 60-600 drawn for each"
    ),
    "timeout": OptionSpec(convert=seconds_from, help="seconds after which a request is answered 504"),
    "concurrency": OptionSpec(convert=count_from, help="requests that one instance serves at the same time"),
    "max_instances": OptionSpec(convert=count_from, help="instances that run at the same time"),
    "most_waiting": OptionSpec(
        convert=count_from, help="requests that may wait for an instance before the next gets 500"
    ),
    "abandoned_starts": OptionSpec(
        convert=flag_from, help="yes or no: a start goes on when its requests were abandoned"
    ),
    "speed": OptionSpec(convert=speed_from, help="seconds that pass in one: 10 lets a start of 300 s pass in 30 s"),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    for name, knob in OPTION_SPECS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", default=argparse.SUPPRESS, help=knob.help)


def with_changes(options: CloudRunOptions, texts: Mapping[str, Any]) -> CloudRunOptions:
    """Gives the options with some of them changed; raises ValueError that names what can't be."""
    values: dict[str, Any] = {}
    for name, text in texts.items():
        try:
            values[name] = OPTION_SPECS[name].convert(str(text))
        except (KeyError, ValueError) as problem:
            raise ValueError(f"{name}={text}: {problem}") from problem
    return dataclasses.replace(options, **values)
