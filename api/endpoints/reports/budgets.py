"""How much of each budget that counts the caller is spent, held and left, and what is the forecast?"""

import calendar
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.http.pagination import list_object
from api.rendering.response import Json
from clients.clock import Clock
from domain.identity.owners import Owner
from domain.identity.roles import AppRole, has_role
from domain.money.budgets import BudgetScope
from domain.money.ledger_records import NANOS
from domain.money.spend_forecast import SpendForecast, projection, reached_step
from state.money.budget_status import BudgetStatus, BudgetUse

DAY_S = Decimal(86_400)
OWNER_SCOPES = (BudgetScope.OWNER_DAY, BudgetScope.OWNER_MONTH)
DAY_SCOPES = (BudgetScope.OWNER_DAY, BudgetScope.TENANT_DAY)


class BudgetReports:
    """The HTTP function that lists budgets."""

    def __init__(self, *, authenticator: Authenticator, status: BudgetStatus, clock: Clock) -> None:
        self.authenticator = authenticator
        self.status = status
        self.clock = clock

    async def list(self, req: Request) -> Response:
        """`GET /v1/budgets`"""
        owner = await owner_of(req, self.authenticator)
        now = datetime.fromtimestamp(self.clock.now(), tz=UTC)
        uses = {use.counter.scope: use for use in await self.status.uses(owner) if is_visible(owner, use)}
        forecast = await self.forecast(owner, uses)
        data = [budget_object(use, now) | forecast_fields(use, forecast, now) for use in uses.values()]
        return json_answer(list_object(data, more=False))

    async def forecast(self, owner: Owner, uses: dict[BudgetScope, BudgetUse]) -> SpendForecast | None:
        today = uses.get(BudgetScope.TENANT_DAY)
        if today is None or not has_role(owner, AppRole.USAGE_READ):
            return None
        return await self.status.forecast(owner.tenant, today.counter)


def is_visible(owner: Owner, use: BudgetUse) -> bool:
    """Return whether a caller sees a counter: the own ones, and the tenant's where it limits or the role allows it."""
    return use.counter.scope in OWNER_SCOPES or use.counter.limit is not None or has_role(owner, AppRole.USAGE_READ)


def budget_object(use: BudgetUse, now: datetime) -> Json:
    """Return the use of a budget; amounts are dollars as decimal strings, null where there is no limit."""
    counter, limit = use.counter, use.counter.limit
    return {
        "id": counter.scope.name.lower(),
        "object": "budget",
        "period": period(counter.scope, now),
        "resets_at": period_end(counter.scope, now).timestamp(),
        "limit_usd": None if limit is None else dollars(limit),
        "spent_usd": dollars(use.spent),
        "held_usd": dollars(use.held),
        "left_usd": None if limit is None else dollars(max(0, limit - use.taken)),
    }


def forecast_fields(use: BudgetUse, forecast: SpendForecast | None, now: datetime) -> Json:
    """Return the forecast for the tenant's day or month; nothing for other budgets or without a forecast."""
    scope = use.counter.scope
    if forecast is None or scope in OWNER_SCOPES:
        return {}
    taken = use.taken / NANOS
    end = projection(taken, forecast, Decimal((period_end(scope, now) - now).total_seconds()) / DAY_S)
    fields = {
        "projected_usd": f"{end.expected:.9f}",
        "projected_low_usd": f"{end.low:.9f}",
        "projected_high_usd": f"{end.high:.9f}",
    }
    if scope not in DAY_SCOPES:
        return fields
    step = reached_step(taken, forecast)
    return {
        "forecast_usd": f"{forecast.expected:.9f}",
        "forecast_source": "configured" if forecast.configured else "learned",
        "forecast_percent_reached": None if step is None else int(step * 100),
        **fields,
    }


def period(scope: BudgetScope, now: datetime) -> str:
    return now.strftime("%Y-%m-%d" if scope in DAY_SCOPES else "%Y-%m")


def period_end(scope: BudgetScope, now: datetime) -> datetime:
    """Return the first moment of the next day or month, in UTC."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if scope in DAY_SCOPES:
        return midnight + timedelta(days=1)
    return midnight.replace(day=1) + timedelta(days=calendar.monthrange(now.year, now.month)[1])


def dollars(amount: int) -> str:
    """Return nano-dollars as dollars."""
    return f"{Decimal(amount) / NANOS:.9f}"
