"""How fast is a backend, as far as its answers have shown?

A GPU that serves many requests at once writes each of them more slowly, so the speed of writing is learned by load too.
"""

from collections.abc import Mapping
from statistics import fmean
from typing import Any, Final, Self

from msgspec import Struct

LEARNING: Final = 0.2
"""The weight of a new measurement of speed: about the last ten attempts count."""

LEAP: Final = 4.0
"""A measurement counts as at most this many times faster or slower than the learned speed."""

LEAST_INPUT: Final = 256
LEAST_OUTPUT: Final = 16
"""Fewer tokens measure the network rather than the model."""

type SpeedByLoad = tuple[tuple[int, float], ...]
"""Tokens a second by level of load, rising: the speed never rises with it."""


class Observation(Struct, frozen=True, kw_only=True):
    """What a finished attempt was seen to do. `cold_s`: the part before the backend was up, None where it was warm.

    `beside` is how many others ran there when it began; None where that is not known.
    """

    attempt: str
    started_at: float
    first_token_at: float
    ended_at: float
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cold_s: float | None = None
    beside: int | None = None


class LearnedSpeed(Struct, frozen=True, kw_only=True):
    """The learned speed of one backend in tokens per second.

    `service_s` is the average time of a request in seconds, without a cold start; None before the first answer.
    `by_load` is the speed of writing at the levels of load that were seen; at others it is `decode_tokens_s`.
    """

    prefill_tokens_s: float
    decode_tokens_s: float
    service_s: float | None = None
    by_load: SpeedByLoad = ()

    def decode_at(self, running: int) -> float:
        """Return the speed of each of so many requests that run at once: never more than that of fewer."""
        return speed_at(self.by_load, level_of(running), self.decode_tokens_s) if self.by_load else self.decode_tokens_s

    def after(self, seen: Observation, *, running: int | None = None) -> "LearnedSpeed":
        """Return the speed after one more answer; so many requests of one instance ran at once, as far as is known."""
        cold_s = seen.cold_s or 0.0
        prefill_s, decode_s = seen.first_token_at - seen.started_at - cold_s, seen.ended_at - seen.first_token_at
        read_tokens = seen.input_tokens - seen.cached_tokens
        return LearnedSpeed(
            prefill_tokens_s=learned_speed(self.prefill_tokens_s, read_tokens, prefill_s, least=LEAST_INPUT),
            decode_tokens_s=learned_speed(self.decode_tokens_s, seen.output_tokens - 1, decode_s, least=LEAST_OUTPUT),
            service_s=learned_service_time(self.service_s, seen.ended_at - seen.started_at - cold_s),
            by_load=self.by_load if running is None else self.learned_at(running, seen.output_tokens - 1, decode_s),
        )

    def learned_at(self, running: int, tokens: int, seconds: float) -> SpeedByLoad:
        """Return the speeds by load after an answer that was written beside others."""
        if tokens < LEAST_OUTPUT or seconds <= 0:
            return self.by_load
        learned = learned_speed(self.decode_at(running), tokens, seconds, least=LEAST_OUTPUT)
        return falling({**dict(self.by_load), level_of(running): learned})

    def to_document(self) -> dict[str, Any]:
        return {
            "prefill_tokens_s": self.prefill_tokens_s,
            "decode_tokens_s": self.decode_tokens_s,
            "service_s": self.service_s,
            **({"decode_by_load": [list(each) for each in self.by_load]} if self.by_load else {}),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            prefill_tokens_s=body["prefill_tokens_s"],
            decode_tokens_s=body["decode_tokens_s"],
            service_s=body.get("service_s"),
            by_load=tuple((level, speed) for level, speed in body.get("decode_by_load", ())),
        )


def level_of(running: int) -> int:
    """Return the level of load: 0 for one request, 1 for 2, 2 for 3 and 4, 3 for 5 to 8, and so on."""
    return max(0, running - 1).bit_length()


def most_at(level: int) -> int:
    """Return the highest number of requests of a level."""
    return 1 << level


def speed_at(by_load: SpeedByLoad, level: int, otherwise: float) -> float:
    """Return the speed at a level; where it was not seen, the other one, between those of its neighbours."""
    found = otherwise
    for each, speed in by_load:
        if each >= level:
            return speed if each == level else max(found, speed)
        found = min(found, speed)
    return found


def falling(speeds: Mapping[int, float]) -> SpeedByLoad:
    """Return the nearest speeds that never rise with the load: those that do are averaged.

    Pool adjacent violators: Barlow et al., Statistical Inference under Order Restrictions, 1972.
    """
    pools: list[list[float]] = []
    for _, speed in sorted(speeds.items()):
        pools.append([speed])
        while len(pools) > 1 and fmean(pools[-2]) < fmean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    averaged = [fmean(pool) for pool in pools for _ in pool]
    return tuple(zip(sorted(speeds), averaged, strict=True))


def learned_speed(learned: float, tokens: int, seconds: float, *, least: int) -> float:
    """Move the learned speed, in tokens per second, towards a measured one."""
    if tokens < least or seconds <= 0:
        return learned
    measured = min(max(tokens / seconds, learned / LEAP), learned * LEAP)
    return learned + LEARNING * (measured - learned)


def learned_service_time(learned: float | None, seconds: float) -> float:
    return round(seconds if learned is None else learned + LEARNING * (seconds - learned), 3)
