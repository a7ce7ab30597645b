"""How much has the caller or its tenant used, and what did it cost?"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from azurefunctions.extensions.http.fastapi import Request, Response
from msgspec import Struct

from api.endpoints.reports.parameters import read_day
from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.http.pagination import list_object, page_of, read_page_request
from api.rendering.focus import focus_columns, focus_rows
from api.rendering.response import Json
from clients.clock import Clock
from domain.errors import Invalid
from domain.identity.owners import Owner
from domain.identity.roles import AppRole, has_role
from domain.money.ledger_records import NANOS
from domain.money.usage import (
    ATTEMPTS,
    CACHED,
    CAUSE,
    COST,
    DIMENSIONS,
    ESTIMATED,
    FUNCTIONS,
    HITS,
    INPUT,
    ITEMS,
    JOINS,
    OUTPUT,
    PROVISIONAL,
    STORE,
    WARM_UPS,
    OriginKind,
    UsageRow,
    grouped,
)
from state.money.usage_rows import UsageRows

DEFAULT_DAYS = 30
DAYS_LIMIT = 400
FORMATS = ("json", "csv", "focus")
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


class UsageQuery(Struct, frozen=True, kw_only=True):
    """The days from `first` to `last`, both included, in UTC, grouped by dimensions."""

    first: date
    last: date
    by: tuple[str, ...]
    form: str


class UsageReports:
    """The HTTP function that reports the usage of all turns."""

    def __init__(
        self, *, authenticator: Authenticator, rows: UsageRows, clock: Clock, known: frozenset[str] = frozenset()
    ) -> None:
        """`known` are the backends of the fleet and the servers of tools: others that were used are marked."""
        self.authenticator = authenticator
        self.rows = rows
        self.known = known
        self.clock = clock

    async def list(self, req: Request) -> Response:
        """`GET /v1/usage`"""
        owner = await owner_of(req, self.authenticator)
        wanted = read_page_request(req, default_order="asc")
        query = read_query(req.query_params, datetime.fromtimestamp(self.clock.now(), tz=UTC).date())
        rows = await self.rows_for(owner, query)
        if query.form == "focus":
            return csv_answer(list(focus_rows(owner.tenant, rows)), focus_columns())
        groups = [self.marked(each) for each in usage_objects(rows, query.by)]
        if query.form == "csv":
            return csv_answer([{name: each[name] for name in each if name not in ("id", "object")} for each in groups])
        page, more = page_of(groups, wanted, lambda group: str(group["id"]))
        scope = "tenant" if may_read_tenant(owner) else "owner"
        return json_answer({**list_object(page, more=more), "scope": scope})

    def marked(self, group: Json) -> Json:
        """Return a group by backends with a mark whether its backend is no longer in the fleet."""
        if "backend" not in group:
            return group
        return {**group, "removed": bool(group["backend"]) and group["backend"] not in self.known}

    async def rows_for(self, owner: Owner, query: UsageQuery) -> Sequence[UsageRow]:
        first, last = query.first.isoformat(), query.last.isoformat()
        if may_read_tenant(owner):
            by = DIMENSIONS if query.form == "focus" else query.by
            return await self.rows.of_tenant(owner.tenant, first=first, last=last, by=by)
        return await self.rows.of_owner(owner, first=first, last=last)


def may_read_tenant(owner: Owner) -> bool:
    return has_role(owner, AppRole.USAGE_READ)


def read_query(parameters: Mapping[str, str], today: date) -> UsageQuery:
    """Read `from`, `to` and `group_by`; raises Invalid."""
    last = read_day(parameters, "to") or today
    first = read_day(parameters, "from") or last - timedelta(days=min(DEFAULT_DAYS - 1, (last - date.min).days))
    if not 0 <= (last - first).days < DAYS_LIMIT:
        message = f"Invalid 'from': expected a date at most {DAYS_LIMIT - 1} days before 'to'."
        raise Invalid(message, field="from", code="invalid_value")
    by = tuple(parameters.get("group_by", "day").split(","))
    known = (*DIMENSIONS, CAUSE, *OriginKind)
    if len(set(by)) < len(by) or not set(by) <= set(known) or len(set(by) & set(OriginKind)) > 1:
        names = f"{','.join(known)}, each at most once, and at most one of {', '.join(OriginKind)}"
        message = f"Invalid 'group_by': expected a comma-separated list of {names}."
        raise Invalid(message, field="group_by", code="invalid_value")
    form = parameters.get("format", "json")
    if form not in FORMATS:
        message = f"Invalid 'format': expected one of {', '.join(FORMATS)}."
        raise Invalid(message, field="format", code="invalid_value")
    return UsageQuery(first=first, last=last, by=by, form=form)


def usage_objects(rows: Sequence[UsageRow], by: Sequence[str]) -> Iterator[Json]:
    """Yield the groups of usage; with `cause` among `by`, one for each cause of a group that cost something."""
    for row in grouped(rows, [name for name in by if name != CAUSE]):
        if CAUSE not in by:
            yield usage_object(row)
            continue
        for cause, amount in row.causes.items():
            if amount:
                place = {name: cause if name == CAUSE else row.dimensions[name] for name in by}
                yield {"id": "/".join(place.values()), "object": "usage", **place, "cost_usd": dollars(amount)}


def csv_answer(lines: Sequence[Mapping[str, object]], columns: Sequence[str] = ()) -> Response:
    """Return lines of CSV (RFC 4180) under the names of the fields, or of `columns` where there may be no line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns or (list(lines[0]) if lines else []), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: unexecuted(value) for name, value in each.items()} for each in lines)
    return Response(text.getvalue(), media_type="text/csv", headers={"cache-control": "no-store"})


def unexecuted(value: object) -> object:
    """Return a value that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value


def usage_object(row: UsageRow) -> Json:
    """Return one group of usage; its id is a cursor for `after`. Amounts are dollars as decimal strings."""
    return {
        "id": "/".join(row.dimensions.values()),
        "object": "usage",
        **row.dimensions,
        "attempts": row.counts[ATTEMPTS],
        "input_tokens": row.counts[INPUT],
        "cached_tokens": row.counts[CACHED],
        "output_tokens": row.counts[OUTPUT],
        "backends_usd": dollars(row.counts[COST]),
        "store_usd": dollars(row.counts[STORE]),
        "functions_usd": dollars(row.counts[FUNCTIONS]),
        "cost_usd": dollars(row.counts[COST] + row.counts[STORE] + row.counts[FUNCTIONS]),
        "provisional_usd": dollars(max(0, row.counts.get(PROVISIONAL, 0))),
        "estimated_usd": dollars(max(0, row.counts.get(ESTIMATED, 0))),
        **({} if set(OriginKind).isdisjoint(row.dimensions) else items_object(row)),
    }


def items_object(row: UsageRow) -> Json:
    """Return the turns of a batch, a pipeline or the cache, what each cost, and how their GPUs came to be warm."""
    cost, items = row.counts[COST] + row.counts[STORE] + row.counts[FUNCTIONS], row.counts[ITEMS]
    return {
        "items": items,
        "cost_per_item_usd": dollars(round(Decimal(cost) / items)) if items else None,
        "warm_ups": row.counts[WARM_UPS],
        "joins": row.counts[JOINS],
        "hits": row.counts[HITS],
    }


def dollars(nanos: int) -> str:
    return f"{Decimal(nanos) / NANOS:.9f}"
