"""Is a backend asleep, starting or warm, and does anything keep turns away from it?"""

from enum import StrEnum

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend


class BackendStatus(StrEnum):
    ASLEEP = "asleep"
    STARTING = "starting"
    WARM = "warm"
    ALWAYS_ON = "always_on"


class Obstacle(StrEnum):
    """Why turns avoid a backend: its circuit is open after errors, it throttles, or its last warm-up failed."""

    CIRCUIT_OPEN = "circuit_open"
    COOLING_DOWN = "cooling_down"
    WARM_UP_FAILED = "warm_up_failed"


def status_of(backend: Backend, state: BackendState, now: float) -> BackendStatus:
    if not backend.cold_start.scales_to_zero:
        return BackendStatus.ALWAYS_ON
    if state.is_up(now):
        return BackendStatus.WARM
    return BackendStatus.STARTING if state.warmth.is_starting(now) else BackendStatus.ASLEEP


def obstacle_of(state: BackendState, now: float) -> tuple[Obstacle, float] | None:
    """Return what keeps turns away from a backend, and until when (seconds since the epoch)."""
    health, failed = state.health, state.warmth.failed_warm_up
    times = {
        Obstacle.CIRCUIT_OPEN: health.circuit_open_until,
        Obstacle.COOLING_DOWN: health.cooldown_until,
        Obstacle.WARM_UP_FAILED: failed.again_at if failed else None,
    }
    return next(((obstacle, until) for obstacle, until in times.items() if until is not None and until > now), None)
