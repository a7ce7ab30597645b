"""What has the caller used, or its tenant, and what did that cost?"""

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

READER = "Usage.Read"
"""The app role with which an application sees all of its tenant's usage."""

USUAL_DAYS = 30
MOST_DAYS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """Both days are included, in UTC."""

    first: date
    last: date
    by: tuple[str, ...]


class UsageReports:
    """The HTTP function that accounts for all turns."""

    def __init__(self, *, authenticator: Authenticator, rows: UsageRows, clock: Clock) -> None:
        self.authenticator = authenticator
        self.rows = rows
        self.clock = clock

    async def list(self, req: Request) -> Response:
        """`GET /v1/usage`"""
        owner = await owner_of(req, self.authenticator)
        wanted = read_page_request(req, usual_order="asc")
        question = read_query(req.query_params, datetime.fromtimestamp(self.clock.now(), tz=UTC).date())
        groups = [shown(row) for row in grouped(await self.rows_for(owner, question), question.by)]
        page, more = page_of(groups, wanted, lambda group: str(group["id"]))
        return json_answer(list_object(page, more=more))

    async def rows_for(self, owner: Owner, question: UsageQuery) -> Sequence[UsageRow]:
        first, last = question.first.isoformat(), question.last.isoformat()
        if sees_tenant(owner):
            return await self.rows.of_tenant(owner.tenant, first=first, last=last)
        return await self.rows.of_owner(owner, first=first, last=last)


def sees_tenant(owner: Owner) -> bool:
    return owner.subject.startswith("app:") and READER in owner.roles


def read_query(given: Mapping[str, str], today: date) -> UsageQuery:
    """Read `from`, `to` and `group_by`; raises Invalid."""
    last = read_day(given, "to", today)
    first = read_day(given, "from", last - timedelta(days=min(USUAL_DAYS - 1, (last - date.min).days)))
    if not 0 <= (last - first).days < MOST_DAYS:
        message = f"Invalid 'from': expected a day at most {MOST_DAYS - 1} days before 'to'."
        raise Invalid(message, field="from", code="invalid_value")
    by = tuple(given.get("group_by", "day").split(","))
    if len(set(by)) < len(by) or not set(by) <= set(DIMENSIONS):
        message = f"Invalid 'group_by': expected some of {','.join(DIMENSIONS)}, each once."
        raise Invalid(message, field="group_by", code="invalid_value")
    return UsageQuery(first=first, last=last, by=by)


def read_day(given: Mapping[str, str], name: str, default: date) -> date:
    try:
        return date.fromisoformat(given[name]) if name in given else default
    except ValueError:
        message = f"Invalid '{name}': expected a day as 2026-11-22."
        raise Invalid(message, field=name, code="invalid_value") from None


def shown(row: UsageRow) -> Json:
    """Return one group of usage; its id is for `after`. Amounts are decimal strings of dollars."""
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
