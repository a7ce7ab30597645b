"""When does a batch cost least, and on which backend?

A pure decision: a batch joins what is warm anyway, starts a GPU where enough lines wait for it, uses a backend that is
up where that costs less, and begins at its latest start in any case.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Final, Self

from domain.money.ledger_records import NANOS

SAFETY: Final = Decimal("1.5")
"""The time that a batch is expected to take is planned so many times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOption:
    """A backend that can run the lines: dollars and seconds for one more line, and for a start where it is not up."""

    backend: str
    line_cost: Decimal
    line_s: float
    start_cost: Decimal = Decimal(0)
    start_s: float = 0.0
    is_up: bool = True

    def cost(self, lines: int) -> Decimal:
        """Return what so many lines cost, with the start, in dollars."""
        return self.start_cost + lines * self.line_cost

    def lasts_s(self, lines: int) -> float:
        return self.start_s + lines * self.line_s


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDecision:
    """Whether a batch begins now, where, and why; if not, when it has to at the latest.

    `backend` is the one that is started for it; an empty text leaves the choice to the route of each line. Times are
    seconds since the epoch, costs are dollars for all lines by backend. `break_even` is how many lines pay for a start.
    """

    starts: bool
    reason: str
    latest_start: float
    backend: str = ""
    costs: Mapping[str, str] = field(default_factory=dict[str, str])
    break_even: int | None = None
    lines: int = 0
    together: int = 0

    def to_document(self) -> dict[str, Any]:
        return asdict(self) | {"costs": dict(self.costs)}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(**{name: body[name] for name in cls.__slots__})


def decide_start(
    options: Sequence[BatchOption], *, lines: int, together: int, now: float, expires_at: float
) -> StartDecision:
    """Decide for a batch of `lines`; `together` counts those of all batches that wait for the same model."""
    up, cold = [each for each in options if each.is_up], [each for each in options if not each.is_up]
    known = {each.backend: f"{each.cost(lines):.9f}" for each in options}
    if not cold:
        return StartDecision(
            starts=True, reason="no backend has to be started", latest_start=now, costs=known, lines=lines
        )
    warm, gpu = min(up, key=line_cost, default=None), min(cold, key=line_cost)
    latest = expires_at - float(SAFETY) * gpu.lasts_s(lines)
    even = break_even(gpu, warm)

    def decided(reason: str, *, starts: bool = True, backend: str = "") -> StartDecision:
        return StartDecision(
            starts=starts,
            reason=reason,
            latest_start=latest,
            backend=backend,
            costs=known,
            break_even=even,
            lines=lines,
            together=together,
        )

    if warm and warm.line_cost <= gpu.line_cost:
        return decided(f"{warm.backend} is up, and a line costs no more there than on {gpu.backend}")
    if even is not None and max(lines, together) >= even:
        why = f"{max(lines, together):,} lines wait, and {even:,} pay for a start of {gpu.backend}"
        return decided(why, backend=gpu.backend)
    if now >= latest:
        if warm and warm.cost(lines) <= gpu.cost(lines):
            return decided(f"the latest start has come, and {warm.backend} costs less than a start of {gpu.backend}")
        return decided(f"the latest start has come: {gpu.backend} is started", backend=gpu.backend)
    return decided(f"waits for a warm {gpu.backend}, or for more lines", starts=False)


def line_cost(option: BatchOption) -> Decimal:
    return option.line_cost


def break_even(gpu: BatchOption, warm: BatchOption | None) -> int | None:
    """Return how many lines pay for a start; None where nothing else can run them, or a start never pays."""
    if warm is None or warm.line_cost <= gpu.line_cost:
        return None
    return max(1, math.ceil(gpu.start_cost / max(warm.line_cost - gpu.line_cost, Decimal(1) / NANOS)))
