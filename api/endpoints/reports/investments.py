"""When had the alternatives cost as much as a GPU session, and what did each session earn or lose against them?"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from azurefunctions.extensions.http.fastapi import Request, Response

from api.endpoints.reports.parameters import require_role
from api.endpoints.reports.warm_ups import sleeping_backend
from api.http.authentication import Authenticator, owner_of
from api.http.conditional import conditional, tag_of
from api.http.errors import json_answer
from api.rendering.response import Json
from domain.fleet.catalog import Backend
from domain.identity.roles import AppRole
from domain.money.prices import TimePrice
from domain.money.sessions.outlook import cost_so_far
from domain.routing.rent_or_buy import session_price
from domain.routing.rules.replay import PastDemand
from domain.routing.rules.session_returns import (
    SessionReturn,
    SessionTime,
    SpendPoint,
    crossings,
    session_returns,
    spend_points,
)
from state.fleet.demand_log import DemandLog, part_length_s
from state.fleet_status import BackendSummary, FleetStatus

REACH_S: Final = 24 * 3600.0
FRESH_S: Final = 15.0


class InvestmentReports:
    """The HTTP function that reports the sessions of one backend as investments."""

    def __init__(self, *, authenticator: Authenticator, status: FleetStatus, demand_log: DemandLog) -> None:
        self.authenticator = authenticator
        self.status = status
        self.demand_log = demand_log
        self.read: dict[str, tuple[float, Sequence[PastDemand]]] = {}

    async def retrieve(self, req: Request) -> Response:
        """`GET /v1/fleet/{backend}/investment`"""
        owner = await owner_of(req, self.authenticator)
        require_role(owner, AppRole.OPERATIONS_READ)
        backend = sleeping_backend(self.status.fleet.backends, req.path_params["backend"])
        summary = await self.status.summary()
        known = next(each for each in summary.backends if each.backend.name == backend.name)
        demand = await self.recent_demand(backend, summary.at)
        body = investment_object(known, demand, summary.at)
        return conditional(req, json_answer({**body, "at": summary.at}), tag_of(repr(body).encode()))

    async def recent_demand(self, backend: Backend, now: float) -> Sequence[PastDemand]:
        """Return the demand of the last day, as it was at most `FRESH_S` ago."""
        at, known = self.read.get(backend.name, (0.0, ()))
        if not 0 <= now - at < FRESH_S:
            known = (await self.demand_log.observed(backend, since=now - REACH_S)).parts
            self.read[backend.name] = (now, known)
        return known


def investment_object(summary: BackendSummary, demand: Sequence[PastDemand], now: float) -> Json:
    """Return the rental spend and the sessions of the last day; demand is that of all tenants together."""
    backend, part_s = summary.backend, part_length_s(summary.backend)
    price = session_price(backend.price, summary.state.start_times.p50_s)
    buys_at = Decimal(str(summary.rule.threshold)) * price
    points = spend_points(demand, summary.rule_window_s)
    crossed = list(crossings(points, float(buys_at), summary.rule_window_s))
    times = list(session_times(summary, now))
    returns = session_returns(times, points, crossed, part_s)
    return {
        "id": backend.name,
        "object": "investment",
        "window_s": round(summary.rule_window_s, 3),
        "part_s": part_s,
        "session_price_usd": f"{price:.9f}",
        "buys_at_usd": f"{buys_at:.9f}",
        "spend": [point_object(each) for each in points],
        "crossed_at": crossed,
        "sessions": [return_object(each, gain) for each, gain in zip(times, returns, strict=True)],
    }


def session_times(summary: BackendSummary, now: float) -> Iterator[SessionTime]:
    """Yield the sessions of the last day, and the open ones until now."""
    for each in summary.ended:
        yield SessionTime(each.session.started, each.ended_at, float(each.cost))
    price, further = summary.backend.price, (each.session for each in summary.instances if each.number)
    for session in (summary.session, *further):
        if session is None or not isinstance(price, TimePrice):
            continue
        yield SessionTime(session.started, now, float(cost_so_far(session, price, now)))


def point_object(point: SpendPoint) -> Json:
    return {"at": point.at, "saved_usd": f"{point.saved:.9f}", "spent_usd": f"{point.spent:.9f}"}


def return_object(session: SessionTime, gain: SessionReturn) -> Json:
    """Return a session; what it earned is null where no turn in it had an alternative."""
    return {
        "started_at": session.began,
        "ended_at": session.ended,
        "cost_usd": f"{session.cost:.9f}",
        "elsewhere_usd": f"{gain.saved:.9f}" if gain.parts else None,
        "earned_usd": f"{gain.earned:.9f}" if gain.parts else None,
        "crossed_at": gain.crossed_at,
    }
