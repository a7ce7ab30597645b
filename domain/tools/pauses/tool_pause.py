"""Is a GPU released while the server runs a long call of the only turn that uses it, and when is it started again?

It is released where the call is expected to outlast both its idle period and a new start: then it would end during the
call anyway, and its idle period would be paid for nothing. It is started again for the learned end of the call where
the waiting that this saves is worth more than the GPU's idle time, should the call end late.
"""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from domain.tools.pauses.durations import CallTimes

NOTHING: Final = Decimal(0)
LATE_SHARE: Final = Decimal("0.5")
"""Half of the calls end after their median; those wait for at most the time up to the high quantile."""


class GpuDuringCall(Struct, frozen=True, kw_only=True):
    """A GPU at the beginning of a call: it is up for `left_s` more seconds, 0 where it is not up.

    It would be up for `stays_s` of them after a release. A start takes `start_s` seconds. Its rate and the worth of
    waiting are dollars for a second.
    """

    left_s: float
    stays_s: float = 0.0
    start_s: float
    rate: Decimal
    time_value: Decimal


class ToolPause(Struct, frozen=True, kw_only=True):
    """The decision, with its dollars: the idle time that a release saves, the waiting that a start saves, and its cost.

    A GPU that is released is up for `stays_s` more seconds. `starts_in_s` is None where the next round starts the GPU,
    if it needs it.
    """

    releases: bool = False
    stays_s: float = 0.0
    starts_in_s: float | None = None
    saved: Decimal = NOTHING
    waiting: Decimal = NOTHING
    lateness: Decimal = NOTHING
    reason: str


def tool_pause(times: CallTimes, gpu: GpuDuringCall) -> ToolPause:
    """Decide for calls that end at these times."""
    if times.early_s <= gpu.left_s + gpu.start_s:
        return ToolPause(reason=f"the calls may end within {gpu.left_s + gpu.start_s:.0f} s")
    waiting = gpu.time_value * Decimal(gpu.start_s)
    lateness = gpu.rate * Decimal(times.late_s - times.middle_s) * LATE_SHARE
    return ToolPause(
        releases=gpu.left_s > gpu.stays_s,
        stays_s=gpu.stays_s,
        starts_in_s=times.middle_s - gpu.start_s if waiting >= lateness else None,
        saved=gpu.rate * Decimal(gpu.left_s - gpu.stays_s),
        waiting=waiting,
        lateness=lateness,
        reason=f"the calls are expected to take {times.middle_s:.0f} s, and at least {times.early_s:.0f} s",
    )
