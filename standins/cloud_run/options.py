"""How long does this service take to start, how long does it hold requests, and what are its limits?"""

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
    """A number of seconds, drawn at random from `low` to `high` each time."""

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
    """Seconds are in scaled time: `speed` of them pass in one second of this machine."""

    start: SecondsRange = SecondsRange(low=5, high=5)
    average_start: float | None = None
    tail: SecondsRange = SecondsRange(low=600, high=600)
    timeout: float = 300.0
    concurrency: int = 8
    max_instances: int = 1
    most_waiting: int | None = None
    abandoned_starts: bool = True
    speed: float = 1.0
    count_delay: float = 0.0
    count_failure: int = 0
    manual: bool = False

    @property
    def hold(self) -> float:
        """Gives how long a request waits for an instance, by Google's documented rule."""
        average = self.start.mean if self.average_start is None else self.average_start
        return max(HOLD_STARTS * average, SHORTEST_HOLD_S)

    def real_seconds(self, seconds: float) -> float:
        """Converts seconds of the service to seconds of this machine."""
        return seconds / self.speed

    def to_json(self) -> dict[str, Any]:
        return {
            "start": str(self.start),
            "average_start": self.average_start,
            "tail": str(self.tail),
            "timeout": self.timeout,
            "concurrency": self.concurrency,
            "max_instances": self.max_instances,
            "most_waiting": self.most_waiting,
            "abandoned_starts": self.abandoned_starts,
            "speed": self.speed,
            "count_delay": self.count_delay,
            "count_failure": self.count_failure,
            "manual": self.manual,
            "hold": self.hold,
        }


def seconds_range_from(text: str) -> SecondsRange:
    low, _, high = text.partition("-")
    seconds = SecondsRange(low=seconds_from(low), high=seconds_from(high or low))
    if seconds.high < seconds.low:
        raise ValueError(f"the end of the range {text} is below its beginning")
    return seconds


def seconds_from(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{text} is not a number of seconds")
    return seconds


def count_from(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text} is not a whole number above 0")
    return int(text)


def status_from(text: str) -> int:
    if text != "0" and not (text.isdecimal() and 400 <= int(text) < 600):  # noqa: PLR2004 - the statuses of errors
        raise ValueError(f"{text} is not the status of an error")
    return int(text)


def speed_from(text: str) -> float:
    speed = seconds_from(text)
    if speed == 0:
        raise ValueError("the speed must be above 0")
    return speed


def flag_from(text: str) -> bool:
    if text not in {"yes", "no"}:
        raise ValueError(f"{text} is neither yes nor no")
    return text == "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSpec:
    convert: Callable[[str], Any]
    help: str


OPTION_SPECS: Mapping[str, OptionSpec] = {
    "start": OptionSpec(
        convert=seconds_range_from, help="seconds until an instance is ready: 5, or a random time from a range, 3-9"
    ),
    "average_start": OptionSpec(
        convert=seconds_from, help="average start-up time that the service assumes; by default the mean of --start"
    ),
    "tail": OptionSpec(
        convert=seconds_range_from,
        help="seconds that an idle instance stays up: 600, or a random time from a range, 60-600",
    ),
    "timeout": OptionSpec(convert=seconds_from, help="seconds after which a request is answered 504"),
    "concurrency": OptionSpec(convert=count_from, help="requests that one instance serves at once"),
    "max_instances": OptionSpec(convert=count_from, help="instances that run at once"),
    "most_waiting": OptionSpec(
        convert=count_from, help="requests that may wait for an instance; the next one gets 500"
    ),
    "abandoned_starts": OptionSpec(
        convert=flag_from, help="yes or no: a start continues when every request that waited for it was abandoned"
    ),
    "count_delay": OptionSpec(
        convert=seconds_from, help="seconds that the Admin API takes to change the number of instances"
    ),
    "count_failure": OptionSpec(
        convert=status_from,
        help="status with which the Admin API rejects every call: 403, 409, 429 or 503; 0: it accepts them",
    ),
    "manual": OptionSpec(
        convert=flag_from, help="yes or no: from the start the Admin API alone sets the number of instances, 0 at first"
    ),
    "speed": OptionSpec(convert=speed_from, help="time scale: at 10 a start of 300 s takes 30 s"),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    for name, knob in OPTION_SPECS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", default=argparse.SUPPRESS, help=knob.help)


def with_changes(options: CloudRunOptions, texts: Mapping[str, Any]) -> CloudRunOptions:
    """Gives the options with some of them changed; raises a ValueError that names an invalid option."""
    values: dict[str, Any] = {}
    for name, text in texts.items():
        if name not in OPTION_SPECS:
            raise ValueError(f"unknown option {name}; choose one of {', '.join(OPTION_SPECS)}")
        try:
            values[name] = OPTION_SPECS[name].convert(str(text))
        except ValueError as problem:
            raise ValueError(f"{name}={text}: {problem}") from problem
    return dataclasses.replace(options, **values)
