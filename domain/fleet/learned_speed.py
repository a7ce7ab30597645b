"""How fast is a backend, as far as its answers have shown?"""

from collections.abc import Mapping
from typing import Any, Final, Self

from msgspec import Struct

LEARNING: Final = 0.2
"""The weight of a new measurement of speed: about the last ten attempts count."""

LEAP: Final = 4.0
"""A measurement counts as at most this many times faster or slower than the learned speed."""

LEAST_INPUT: Final = 256
LEAST_OUTPUT: Final = 16
"""Fewer tokens measure the network rather than the model."""


class Observation(Struct, frozen=True, kw_only=True):
    """What a finished attempt was seen to do. `cold_s`: the part before the backend was up, None where it was warm."""

    attempt: str
    started_at: float
    first_token_at: float
    ended_at: float
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cold_s: float | None = None


class LearnedSpeed(Struct, frozen=True, kw_only=True):
    """The learned speed of one backend in tokens per second.

    `service_s` is the average time of a request in seconds, without a cold start; None before the first answer.
    """

    prefill_tokens_s: float
    decode_tokens_s: float
    service_s: float | None = None

    def after(self, seen: Observation) -> "LearnedSpeed":
        """Return the speed after one more answer."""
        cold_s = seen.cold_s or 0.0
        prefill_s, decode_s = seen.first_token_at - seen.started_at - cold_s, seen.ended_at - seen.first_token_at
        read_tokens = seen.input_tokens - seen.cached_tokens
        return LearnedSpeed(
            prefill_tokens_s=learned_speed(self.prefill_tokens_s, read_tokens, prefill_s, least=LEAST_INPUT),
            decode_tokens_s=learned_speed(self.decode_tokens_s, seen.output_tokens - 1, decode_s, least=LEAST_OUTPUT),
            service_s=learned_service_time(self.service_s, seen.ended_at - seen.started_at - cold_s),
        )

    def to_document(self) -> dict[str, Any]:
        return {
            "prefill_tokens_s": self.prefill_tokens_s,
            "decode_tokens_s": self.decode_tokens_s,
            "service_s": self.service_s,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            prefill_tokens_s=body["prefill_tokens_s"],
            decode_tokens_s=body["decode_tokens_s"],
            service_s=body.get("service_s"),
        )


def learned_speed(learned: float, tokens: int, seconds: float, *, least: int) -> float:
    """Move the learned speed, in tokens per second, towards a measured one."""
    if tokens < least or seconds <= 0:
        return learned
    measured = min(max(tokens / seconds, learned / LEAP), learned * LEAP)
    return learned + LEARNING * (measured - learned)


def learned_service_time(learned: float | None, seconds: float) -> float:
    return round(seconds if learned is None else learned + LEARNING * (seconds - learned), 3)
