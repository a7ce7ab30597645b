"""How much did each owner use, by hour, conversation, model and backend, and what was it spent for?

A row adds up the closed attempts of one owner, hour, conversation, model, backend and origin. Its cost is in
nano-dollars, and so are its causes, which add up to the cost. Rows of earlier releases cover a day and have no causes,
or have no origin. A row is written in the batch that writes an attempt's record, so that it stays their sum through any
crash. The cost of the store and the functions belongs to no model or backend: a row without either counts it, in the
batch that settles the turn.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self

from msgspec import Struct, field

from domain.log.events import TokenUsage
from domain.money.attempt_charge import AttemptStatus
from domain.money.bill import lines_of
from domain.money.costing import BillLine
from domain.money.ledger_records import AttemptRecord, Reservation, nanos
from domain.money.overheads import OverheadCost

HOUR: Final = "hour"
DIMENSIONS: Final = ("day", HOUR, "owner", "conversation", "model", "backend")
ATTEMPTS, INPUT, CACHED, OUTPUT, COST, STORE, FUNCTIONS = COUNTS = (
    "attempts",
    "input",
    "cached",
    "output",
    "cost",
    "store",
    "functions",
)
CAUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "running": BillLine.GPU,
        "start": BillLine.COLD,
        "idle": BillLine.TAIL,
        "tokens": BillLine.TOKENS,
        "tools": BillLine.TOOLS,
        "lost": BillLine.HELD,
    }
)
"""What the money of attempts was spent for, by the name of its count, with the line of the bill.

`lost` is what an attempt is charged whose end was not recorded.
"""
UNUSED: Final = "unused_warm_up"
"""The cause that counts the whole session of a warm-up which answered nothing, in place of its start and idle time."""

SESSION_CAUSES: Final = ("running", "start", "idle", UNUSED)
"""The causes of what GPU sessions cost."""

PROVISIONAL: Final = "provisional"
"""What of the cost may still change: the charges of attempts and warm-ups whose GPU session has not ended."""

ESTIMATED: Final = "estimated"
"""What of the cost is an estimate: shares of GPU sessions that are over, and that the product has inferred."""

CAUSE: Final = "cause"
"""Grouped by it, usage shows what its money was spent for."""

ORIGIN: Final = "origin"
"""The dimension of rows whose turns were started by a batch or a pipeline, or may be answered by a cache.

Its value is a text such as `batch:batch_…`, `pipeline:tickets` or `cache:hit`.
"""


class OriginKind(StrEnum):
    """What starts turns: a batch, found by its id, or a pipeline, by its name.

    Of turns that may take an answer over, `cache` says whether they did.
    """

    BATCH = "batch"
    PIPELINE = "pipeline"
    CACHE = "cache"


HIT: Final = f"{OriginKind.CACHE}:hit"
MISS: Final = f"{OriginKind.CACHE}:miss"

ITEMS, WARM_UPS, JOINS, HITS = ORIGIN_COUNTS = ("items", "warm_ups", "joins", "hits")
"""The turns of an origin, the starts that they sent, the GPU sessions that they joined, and the cached answers."""

LATER_COUNTS: Final = (*CAUSES, UNUSED, PROVISIONAL, ESTIMATED, *ORIGIN_COUNTS)
"""The counts that rows of earlier releases lack."""

ALL_COUNTS: Final = (*COUNTS, *LATER_COUNTS)
LATER: Final = (HOUR, ORIGIN)
"""The dimensions that rows may lack."""

UNDIVIDED: Final = "undivided"
"""The cost in rows of earlier releases, which had no causes."""

type Counts = Mapping[str, int]


class UsageRow(Struct, frozen=True, kw_only=True):
    """The sums for one value of each dimension."""

    dimensions: Mapping[str, str]
    counts: Counts = field(default_factory=dict[str, int])

    @property
    def id(self) -> str:
        names = [name for name in ("conversation", "model", "backend", HOUR, ORIGIN) if name in self.dimensions]
        inner = "\n".join(self.dimensions[name] for name in names)
        digest = hashlib.sha256(inner.encode()).hexdigest()[:24]
        return f"{row_id_prefix(self.dimensions['owner'])}{self.dimensions['day']}_{digest}"

    def to_document(self) -> dict[str, Any]:
        return {"kind": "usage", "v": 1, **self.dimensions, **self.counts}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            dimensions={name: body[name] for name in (*DIMENSIONS, ORIGIN) if name in body or name not in LATER},
            counts={name: body.get(name, 0) for name in COUNTS}
            | {name: body[name] for name in LATER_COUNTS if name in body},
        )

    @property
    def causes(self) -> dict[str, int]:
        """Return what the whole cost was spent for, in nano-dollars."""
        known = {name: self.counts.get(name, 0) for name in (*CAUSES, UNUSED)}
        rest = self.counts[COST] - sum(known.values())
        return {**known, UNDIVIDED: rest, STORE: self.counts[STORE], FUNCTIONS: self.counts[FUNCTIONS]}


def row_id_prefix(subject: str = "") -> str:
    """Return the prefix of the ids of an owner's rows, or of every row where no owner is named."""
    return f"usage_{subject}_" if subject else "usage_"


def row_for_attempt(attempt: AttemptRecord) -> UsageRow:
    """Return the row that counts an attempt. Its day and hour are those in which the attempt began, in UTC."""
    return UsageRow(
        dimensions={
            "day": day_of(attempt.started_at),
            HOUR: hour_of(attempt.started_at),
            "owner": attempt.subject,
            "conversation": attempt.conversation,
            "model": attempt.model,
            "backend": attempt.backend,
            **origin_dimension(attempt.origin),
        }
    )


def batch_origin(batch: str) -> str:
    return f"{OriginKind.BATCH}:{batch}"


def pipeline_origin(pipeline: str) -> str:
    return f"{OriginKind.PIPELINE}:{pipeline}"


def origin_name(origin: str, kind: str) -> str | None:
    """Return the name in an origin of a kind; None where it has another kind."""
    found, _, name = origin.partition(":")
    return name if found == kind else None


def origin_dimension(origin: str) -> Mapping[str, str]:
    return {ORIGIN: origin} if origin else {}


def overhead_row(subject: str, at: float, conversation: str, origin: str = "") -> UsageRow:
    """Return the row that counts the overhead of a turn, by the time of its admission."""
    place = {
        "day": day_of(at),
        HOUR: hour_of(at),
        "owner": subject,
        "conversation": conversation,
        "model": "",
        "backend": "",
        **origin_dimension(origin),
    }
    return UsageRow(dimensions=place)


def overhead_counts(overhead: OverheadCost) -> dict[str, int]:
    return {STORE: nanos(overhead.store), FUNCTIONS: nanos(overhead.functions)}


def settled_usage(
    reservation: Reservation, records: Sequence[AttemptRecord], overhead: OverheadCost, origin: str
) -> tuple[UsageRow, dict[str, int]]:
    """Return the row of a turn that is settled, and what it adds there."""
    origin, conversation = origin or reservation.origin, next((each.conversation for each in records), "")
    row = overhead_row(reservation.subject, reservation.at, conversation, origin)
    return row, overhead_counts(overhead) | origin_counts(origin, records)


def origin_counts(origin: str, records: Iterable[AttemptRecord]) -> dict[str, int]:
    """Return what a turn that has ended adds to the usage of its origin; nothing where it has none."""
    if not origin:
        return {}
    started, used = set[str](), set[str]()
    for record in records:
        sessions = {name for name, share in record.charge.shares.items() if share.amount or not share.final}
        (started if record.is_warm_up or record.starts_session else used).update(sessions)
    counts = {ITEMS: 1, WARM_UPS: len(started), JOINS: len(used - started), HITS: int(origin == HIT)}
    return {name: number for name, number in counts.items() if number}


def day_of(at: float) -> str:
    """Return the day of a time (seconds since the epoch), in UTC."""
    return datetime.fromtimestamp(at, tz=UTC).isoformat()[:10]


def hour_of(at: float) -> str:
    """Return the hour of a time (seconds since the epoch), in UTC, such as 2027-01-15T13."""
    return datetime.fromtimestamp(at, tz=UTC).isoformat()[:13]


def counted_usage(attempt: AttemptRecord | None) -> Counts:
    """Return an attempt's counts in its row: zeros while it is open. A warm-up is not counted as an attempt."""
    if attempt is None or attempt.is_open:
        return dict.fromkeys((*COUNTS, *CAUSES, UNUSED, PROVISIONAL, ESTIMATED), 0)
    usage = attempt.progress.usage or TokenUsage()
    cost = 0 if attempt.charge.cost is None else nanos(attempt.charge.cost)
    tokens = {INPUT: usage.input_tokens, CACHED: usage.cached_tokens, OUTPUT: usage.output_tokens}
    provisional = cost if attempt.charge.status is AttemptStatus.PROVISIONAL else 0
    kinds = {PROVISIONAL: provisional, ESTIMATED: nanos(attempt.charge.estimated)}
    counts = {ATTEMPTS: min(1, attempt.number), **tokens, COST: cost, **cause_counts(attempt), **kinds}
    return {**dict.fromkeys(COUNTS, 0), **counts}


def cause_counts(attempt: AttemptRecord) -> Counts:
    lines, unused = lines_of(attempt), attempt.charge.unused
    used = {line: amount - unused.get(line, Decimal(0)) for line, amount in lines.items()}
    causes = {name: nanos(used.get(line, Decimal(0))) for name, line in CAUSES.items()}
    return {**causes, UNUSED: nanos(sum(unused.values(), Decimal(0)))}


def usage_changes(before: AttemptRecord | None, after: AttemptRecord) -> dict[str, int]:
    """Return the changes of a row when an attempt's record changes; a count that stays is left out.

    A store adds to ten fields of a document at once. An attempt has at most ten counts that are not zero when it ends;
    the end of its session, which may make it an estimate, changes none of its tokens.
    """
    was, now = counted_usage(before), counted_usage(after)
    return {name: now[name] - was[name] for name in now if now[name] != was[name]}


def grouped(rows: Iterable[UsageRow], by: Sequence[str]) -> list[UsageRow]:
    """Return the sums of rows that agree in the dimensions `by`, sorted by them; a row without an hour has none.

    By a kind of origin, rows of other origins are left out.
    """
    sums: dict[tuple[str, ...], dict[str, int]] = {}
    for row in rows:
        values = [value_in(row, name) for name in by]
        known = tuple(each for each in values if each is not None)
        if len(known) < len(values):
            continue
        there = sums.setdefault(known, dict.fromkeys(ALL_COUNTS, 0))
        for name, amount in row.counts.items():
            there[name] += amount
    return [UsageRow(dimensions=dict(zip(by, values, strict=True)), counts=sums[values]) for values in sorted(sums)]


def value_in(row: UsageRow, name: str) -> str | None:
    """Return a row's value of a dimension; None where it has another kind of origin."""
    if name in tuple(OriginKind):
        return origin_name(row.dimensions.get(ORIGIN, ""), name)
    return row.dimensions.get(name, "")
