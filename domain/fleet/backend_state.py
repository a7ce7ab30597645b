"""What has been learned about a backend: its speed, its starts, its warmth, its failures and its load?

The initial state comes from the fleet file; the store keeps every later state. Times are seconds since the epoch.
"""

from collections.abc import Mapping
from typing import Any, Final, Self

from msgspec import Struct, field

from domain.fleet.catalog import Backend
from domain.fleet.cold_start import StartTimes, remaining_start_s
from domain.fleet.health import BackendHealth
from domain.fleet.learned_speed import LearnedSpeed
from domain.fleet.load import Load
from domain.fleet.warmth import Warmth

VERSION: Final = 1


class BackendState(Struct, frozen=True, kw_only=True):
    """The learned state of one backend. Its document is flat: each part reads and writes its own keys."""

    backend: str
    speed: LearnedSpeed
    start_times: StartTimes
    warmth: Warmth = field(default_factory=Warmth)
    health: BackendHealth = field(default_factory=BackendHealth)
    load: Load = field(default_factory=Load)

    @property
    def is_failing(self) -> bool:
        """Return whether a failure was seen that may keep turns away from this backend."""
        return self.health.is_failing or self.warmth.failed_warm_up is not None

    def is_up(self, now: float) -> bool:
        """Return whether the backend is up: in its idle period, or since its start as long as attempts run there."""
        warmth = self.warmth
        has_opened = warmth.warm_until is not None and warmth.warm_up is None
        return warmth.is_warm(now) or (has_opened and self.load.running(now) > 0)

    def remaining_start_s(self, now: float) -> tuple[float, float]:
        """Return the expected and the slow remaining seconds of the start under way, or of a start that begins now."""
        start = self.warmth.start_under_way(now)
        elapsed_s = now - start.since if start else 0.0
        expected_s = remaining_start_s(elapsed_s, p50_s=self.start_times.p50_s, p99_s=self.start_times.p99_s)
        return expected_s, max(expected_s, self.start_times.p99_s - elapsed_s)

    def to_document(self) -> dict[str, Any]:
        return {
            "v": VERSION,
            "backend": self.backend,
            **self.start_times.to_document(),
            **self.speed.to_document(),
            **self.warmth.to_document(),
            **self.health.to_document(),
            **self.load.to_document(),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            backend=body["backend"],
            speed=LearnedSpeed.from_document(body),
            start_times=StartTimes.from_document(body),
            warmth=Warmth.from_document(body),
            health=BackendHealth.from_document(body),
            load=Load.from_document(body),
        )


def initial_state(backend: Backend) -> BackendState:
    speed, cold_start = backend.speed, backend.cold_start
    return BackendState(
        backend=backend.name,
        speed=LearnedSpeed(prefill_tokens_s=speed.prefill_tokens_s, decode_tokens_s=speed.decode_tokens_s),
        start_times=StartTimes(p50_s=cold_start.p50_s, p99_s=cold_start.p99_s),
    )


def last_starts(states: Mapping[str, BackendState]) -> Mapping[str, float]:
    """Return when the last start of each backend began that has one, in seconds since the epoch."""
    starts = {name: state.warmth.started_at for name, state in states.items()}
    return {name: at for name, at in starts.items() if at is not None}
