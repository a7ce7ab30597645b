"""What was used, by whom, on which day, in which conversation, of which model and backend?

A row counts the closed attempts of one owner, day, conversation, model and backend, its cost in nano-dollars. It
changes in the batch that changes an attempt's record, so that it is their sum whoever dies. What the store and the
functions cost is no model's and no backend's: the row of neither counts it, in the batch that settles a turn.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

from domain.log.events import TokenUsage
from domain.money.ledger_records import AttemptRecord, AttemptStatus, nanos
from domain.money.overheads import OverheadCost

DIMENSIONS: Final = ("day", "owner", "conversation", "model", "backend")
ATTEMPTS, INPUT, CACHED, OUTPUT, COST, STORE, FUNCTIONS = COUNTS = (
    "attempts",
    "input",
    "cached",
    "output",
    "cost",
    "store",
    "functions",
)

type Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What was used in one place: `place` names it by the dimensions."""

    place: Mapping[str, str]
    counts: Counts = field(default_factory=dict[str, int])

    @property
    def id(self) -> str:
        inner = "\n".join(self.place[name] for name in ("conversation", "model", "backend"))
        digest = hashlib.sha256(inner.encode()).hexdigest()[:24]
        return f"{rows_of(self.place['owner'])}{self.place['day']}_{digest}"

    def to_document(self) -> dict[str, Any]:
        return {"kind": "usage", "v": 1, **self.place, **self.counts}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(place={name: body[name] for name in DIMENSIONS}, counts={name: body.get(name, 0) for name in COUNTS})


def rows_of(subject: str = "") -> str:
    """Return what the ids of an owner's rows begin with; of all owners' where none is named."""
    return f"usage_{subject}_" if subject else "usage_"


def row_of(attempt: AttemptRecord) -> UsageRow:
    """Return the row that an attempt counts in: its day is the one on which it began, in UTC."""
    return UsageRow(
        place={
            "day": day_of(attempt.started_at),
            "owner": attempt.subject,
            "conversation": attempt.conversation,
            "model": attempt.model,
            "backend": attempt.backend,
        }
    )


def overhead_row(subject: str, at: float, conversation: str) -> UsageRow:
    """Return the row that counts what a turn cost beside its backends, by when it was admitted."""
    place = {"day": day_of(at), "owner": subject, "conversation": conversation, "model": "", "backend": ""}
    return UsageRow(place=place)


def overhead_counts(overhead: OverheadCost) -> dict[str, int]:
    return {STORE: nanos(overhead.store), FUNCTIONS: nanos(overhead.functions)}


def day_of(at: float) -> str:
    """Return the day of a time (seconds since the epoch), in UTC."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d")


def used(attempt: AttemptRecord | None) -> Counts:
    """Return what an attempt's record stands for in its row: nothing while it is open. Wakes are no attempts."""
    if attempt is None or attempt.status is AttemptStatus.OPEN:
        return dict.fromkeys(COUNTS, 0)
    usage = attempt.usage or TokenUsage()
    cost = 0 if attempt.cost is None else nanos(attempt.cost)
    tokens = {INPUT: usage.input_tokens, CACHED: usage.cached_tokens, OUTPUT: usage.output_tokens}
    return {**dict.fromkeys(COUNTS, 0), ATTEMPTS: min(1, attempt.number), **tokens, COST: cost}


def newly_used(before: AttemptRecord | None, after: AttemptRecord) -> dict[str, int]:
    """Return by how much a row changes when an attempt's record does."""
    was, now = used(before), used(after)
    return {name: now[name] - was[name] for name in COUNTS}


def grouped(rows: Iterable[UsageRow], by: Sequence[str]) -> list[UsageRow]:
    """Return the sums of rows that agree in some dimensions, in the order of these."""
    sums: dict[tuple[str, ...], dict[str, int]] = {}
    for row in rows:
        there = sums.setdefault(tuple(row.place[name] for name in by), dict.fromkeys(COUNTS, 0))
        for name in COUNTS:
            there[name] += row.counts[name]
    return [UsageRow(place=dict(zip(by, values, strict=True)), counts=sums[values]) for values in sorted(sums)]
