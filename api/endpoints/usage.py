"""How much has the caller or its tenant used, and what did it cost?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.http.pagination import list_object, page_of, read_page_request
from api.rendering.response import Json
from clients.clock import Clock
from domain.errors import Invalid
from domain.identity.owners import Owner
from domain.money.ledger_records import NANOS
from domain.money.usage import ATTEMPTS, CACHED, COST, DIMENSIONS, FUNCTIONS, INPUT, OUTPUT, STORE, UsageRow, grouped
from state.money.usage_rows import UsageRows

READ_ROLE = "Usage.Read"
"""The app role with which an application reads the usage of its whole tenant."""

DEFAULT_DAYS = 30
DAYS_LIMIT = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """The days from `first` to `last`, both included, in UTC, grouped by dimensions."""

    first: date
    last: date
    by: tuple[str, ...]


class UsageReports:
    """The HTTP function that reports the usage of all turns."""

    def __init__(self, *, authenticator: Authenticator, rows: UsageRows, clock: Clock) -> None:
        self.authenticator = authenticator
        self.rows = rows
        self.clock = clock

    async def list(self, req: Request) -> Response:
        """`GET /v1/usage`"""
        owner = await owner_of(req, self.authenticator)
        wanted = read_page_request(req, default_order="asc")
        query = read_query(req.query_params, datetime.fromtimestamp(self.clock.now(), tz=UTC).date())
        groups = [usage_object(row) for row in grouped(await self.rows_for(owner, query), query.by)]
        page, more = page_of(groups, wanted, lambda group: str(group["id"]))
        return json_answer(list_object(page, more=more))

    async def rows_for(self, owner: Owner, query: UsageQuery) -> Sequence[UsageRow]:
        first, last = query.first.isoformat(), query.last.isoformat()
        if may_read_tenant(owner):
            return await self.rows.of_tenant(owner.tenant, first=first, last=last)
        return await self.rows.of_owner(owner, first=first, last=last)


def may_read_tenant(owner: Owner) -> bool:
    return owner.subject.startswith("app:") and READ_ROLE in owner.roles


def read_query(parameters: Mapping[str, str], today: date) -> UsageQuery:
    """Read `from`, `to` and `group_by`; raises Invalid."""
    last = read_day(parameters, "to", today)
    first = read_day(parameters, "from", last - timedelta(days=min(DEFAULT_DAYS - 1, (last - date.min).days)))
    if not 0 <= (last - first).days < DAYS_LIMIT:
        message = f"Invalid 'from': expected a date at most {DAYS_LIMIT - 1} days before 'to'."
        raise Invalid(message, field="from", code="invalid_value")
    by = tuple(parameters.get("group_by", "day").split(","))
    if len(set(by)) < len(by) or not set(by) <= set(DIMENSIONS):
        message = f"Invalid 'group_by': expected a comma-separated list of {','.join(DIMENSIONS)}, each at most once."
        raise Invalid(message, field="group_by", code="invalid_value")
    return UsageQuery(first=first, last=last, by=by)


def read_day(parameters: Mapping[str, str], name: str, default: date) -> date:
    try:
        return date.fromisoformat(parameters[name]) if name in parameters else default
    except ValueError:
        message = f"Invalid '{name}': expected a date such as 2026-11-22."
        raise Invalid(message, field=name, code="invalid_value") from None


def usage_object(row: UsageRow) -> Json:
    """Return one group of usage; its id is a cursor for `after`. Amounts are dollars as decimal strings."""
    return {
        "id": "/".join(row.place.values()),
        "object": "usage",
        **row.place,
        "attempts": row.counts[ATTEMPTS],
        "input_tokens": row.counts[INPUT],
        "cached_tokens": row.counts[CACHED],
        "output_tokens": row.counts[OUTPUT],
        "backends_usd": dollars(row.counts[COST]),
        "store_usd": dollars(row.counts[STORE]),
        "functions_usd": dollars(row.counts[FUNCTIONS]),
        "cost_usd": dollars(row.counts[COST] + row.counts[STORE] + row.counts[FUNCTIONS]),
    }


def dollars(nanos: int) -> str:
    return f"{Decimal(nanos) / NANOS:.9f}"
