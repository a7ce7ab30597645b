"""When does a batch cost least, and on which backend?

A pure decision: a batch joins what is warm anyway, starts a GPU where the lines that wait pay for several starts, uses
a backend that is up where that costs less, and begins at its latest start in any case, with all that wait by then.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple, Self

from msgspec import Struct, field

from domain.money.ledger_records import NANOS

SAFETY: Final = Decimal("1.5")
"""The time that a batch is expected to take is planned so many times."""

KEPT_SAFETY: Final = 1.25
"""A backend counts as in time until so much is left: the timer of its latest start, the last look, fires late."""

STARTS_PAID: Final = 6
"""Lines that pay for so many starts wait for no others: those could save a sixth of what they have saved.

Lines that pay for fewer wait for the first latest start. The benchmark of batches measures what that saves.
"""


class BatchOption(Struct, frozen=True, kw_only=True):
    """A backend that can run the lines: dollars and seconds for one more line, and for what comes before the first.

    That is the start of one that is not up, and the idle period that lines add to one that would go soon. Where a GPU
    that is up went before its lines have run, `restart_cost` is what they would pay to start it again.
    """

    backend: str
    line_cost: Decimal
    line_s: float
    start_cost: Decimal = Decimal(0)
    start_s: float = 0.0
    is_up: bool = True
    restart_cost: Decimal = Decimal(0)

    def cost(self, lines: int) -> Decimal:
        """Return what so many lines cost, with the start, in dollars."""
        return self.start_cost + lines * self.line_cost

    def lasts_s(self, lines: int) -> float:
        return self.start_s + lines * self.line_s


class StartDecision(Struct, frozen=True, kw_only=True):
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
        return {
            "starts": self.starts,
            "reason": self.reason,
            "latest_start": self.latest_start,
            "backend": self.backend,
            "costs": dict(self.costs),
            "break_even": self.break_even,
            "lines": self.lines,
            "together": self.together,
        }

    def for_owner(self) -> dict[str, Any]:
        """Return what the owner of the batch sees: not how many lines other owners have."""
        return {name: value for name, value in self.to_document().items() if name != "together"}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            starts=body["starts"],
            reason=body["reason"],
            latest_start=body["latest_start"],
            backend=body["backend"],
            costs=body["costs"],
            break_even=body["break_even"],
            lines=body["lines"],
            together=body["together"],
        )


class Beginning(NamedTuple):
    """Why a batch begins, and the backend that its lines prefer."""

    reason: str
    backend: str = ""


class WaitingLines(NamedTuple):
    """The lines of all batches that wait for a model, this one included.

    `beside` are those of the other batches that would run at the same time: of each as many as this one has at most,
    because batches get the same share of a backend.
    """

    together: int = 0
    beside: int = 0


ALONE: Final = WaitingLines()


def waiting_lines(lines: int, others: Iterable[int]) -> WaitingLines:
    """Return what waits, for a batch of `lines` and the numbers of lines of all other batches of its model."""
    counts = tuple(others)
    return WaitingLines(lines + sum(counts), sum(min(lines, each) for each in counts))


def decide_start(
    options: Sequence[BatchOption],
    *,
    lines: int,
    now: float,
    expires_at: float,
    waiting: WaitingLines = ALONE,
    is_cheap_hour: bool = False,
) -> StartDecision:
    """Decide for a batch of `lines`."""
    ready, dear = [each for each in options if not each.start_cost], [each for each in options if each.start_cost]
    known = {each.backend: f"{each.cost(lines):.9f}" for each in options}
    if not dear:
        reason, backend = begins_at_once(ready, lines=lines, left_s=expires_at - now)
        return StartDecision(starts=True, reason=reason, latest_start=now, backend=backend, costs=known, lines=lines)
    together, beside = max(lines, waiting.together), lines + waiting.beside
    warm, gpus = min(ready, key=line_cost, default=None), in_order(dear, together, beside, expires_at - now)
    early = ((each, begins) for each in gpus if (begins := begins_early(each, warm, waiting=together)))
    gpu, begins = next(early, (gpus[0], None))
    latest = expires_at - float(SAFETY) * gpu.lasts_s(beside)
    if not begins and is_cheap_hour:
        begins = begins_cheaply("this hour is cheap", gpu, warm, together)
    if not begins and now >= latest:
        begins = begins_cheaply("the latest start has come", gpu, warm, together)
    reason, backend = begins or Beginning(f"waits for a warm {gpu.backend}, or for more lines")
    return StartDecision(
        starts=begins is not None,
        reason=reason,
        latest_start=latest,
        backend=backend,
        costs=known,
        break_even=break_even(gpu, warm),
        lines=lines,
        together=waiting.together,
    )


def in_order(dear: Sequence[BatchOption], together: int, beside: int, left_s: float) -> Sequence[BatchOption]:
    """Return the backends that can run the lines in time, first the one where all lines that wait cost least.

    Where none can run the `beside` lines with the time that is planned, those without the safety count, then the
    quickest one.
    """
    for safety in (KEPT_SAFETY, 1.0):
        if in_time := [each for each in dear if safety * each.lasts_s(beside) <= left_s]:
            return sorted(in_time, key=lambda each: each.cost(together))
    return [min(dear, key=lambda each: each.lasts_s(beside))]


def begins_at_once(ready: Sequence[BatchOption], *, lines: int, left_s: float) -> Beginning:
    """Return why a batch begins that needs no start.

    Its lines wait for a GPU that is at work where that saves more than a start of it, and can take all of them in time.
    """
    gpu = min((each for each in ready if each.restart_cost), key=line_cost, default=None)
    other = min((each for each in ready if not each.restart_cost), key=line_cost, default=None)
    if gpu and other and float(SAFETY) * gpu.lasts_s(lines) <= left_s:
        saved = lines * (other.line_cost - gpu.line_cost)
        if saved >= gpu.restart_cost:
            return Beginning(
                f"{gpu.backend} is at work, and lines cost less there than on {other.backend}", gpu.backend
            )
    return Beginning("no backend has to be started")


def begins_early(gpu: BatchOption, warm: BatchOption | None, *, waiting: int) -> Beginning | None:
    """Return why a batch has nothing to wait for, where that is so."""
    even = break_even(gpu, warm)
    if warm and warm.line_cost <= gpu.line_cost:
        return Beginning(f"{warm.backend} is up, and a line costs no more there than on {gpu.backend}")
    enough = None if even is None else even * (1 if gpu.is_up else STARTS_PAID)
    if enough is not None and waiting >= enough:
        pays = f"a longer idle period of {gpu.backend}" if gpu.is_up else f"{STARTS_PAID} starts of {gpu.backend}"
        return Beginning(f"enough lines wait: {enough:,} pay for {pays}", gpu.backend)
    if gpu.is_up and warm is None:
        return Beginning(f"{gpu.backend} is warm", gpu.backend)
    return None


def begins_cheaply(why: str, gpu: BatchOption, warm: BatchOption | None, waiting: int) -> Beginning:
    """Return the beginning of a batch that waits no longer, where all lines that wait cost less."""
    if warm and warm.cost(waiting) <= gpu.cost(waiting):
        return Beginning(f"{why}, and {warm.backend} costs less than {gpu.backend}")
    return Beginning(f"{why}: {gpu.backend} {'is warm' if gpu.is_up else 'is started'}", gpu.backend)


def line_cost(option: BatchOption) -> Decimal:
    return option.line_cost


def break_even(gpu: BatchOption, warm: BatchOption | None) -> int | None:
    """Return how many lines pay for a start; None where nothing else can run them, or a start never pays."""
    if warm is None or warm.line_cost <= gpu.line_cost:
        return None
    return max(1, math.ceil(gpu.start_cost / max(warm.line_cost - gpu.line_cost, Decimal(1) / NANOS)))
