"""Which turns has the caller or its tenant, and what did each cost?"""

from collections.abc import Mapping

from azurefunctions.extensions.http.fastapi import Request, Response
from msgspec import Struct

from api.endpoints.reports.parameters import require_role, start_of_day
from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.http.pagination import continued_list, read_newest_first, unknown_cursor
from api.rendering.response import Json
from domain.errors import Invalid, NotFound
from domain.identity.owners import Owner
from domain.identity.roles import AppRole
from domain.log.events import ResponseStatus
from domain.money.costing import BillLine
from state.turn_list import TurnList, TurnQuery, TurnSummary

STATUSES = tuple(status.value for status in ResponseStatus)
SCOPES = ("owner", "tenant")


class TurnFilter(Struct, frozen=True, kw_only=True):
    """Which turns are listed; an empty text lists all."""

    status: str = ""
    model: str = ""
    backend: str = ""

    def keeps(self, summary: TurnSummary) -> bool:
        backends = {each.backend for each in summary.attempts}
        return (
            self.status in ("", summary.turn.status.value)
            and self.model in ("", summary.turn.options.model)
            and (not self.backend or self.backend in backends)
        )


class TurnReports:
    """The HTTP function that lists turns, newest first, without their content."""

    def __init__(self, *, authenticator: Authenticator, turns: TurnList) -> None:
        self.authenticator = authenticator
        self.turns = turns

    async def list(self, req: Request) -> Response:
        """`GET /v1/turns`"""
        owner = await owner_of(req, self.authenticator)
        query = read_query(req)
        try:
            page = await self.turns.page(owner.tenant, subject_of(req.query_params, owner), query)
        except NotFound:
            raise unknown_cursor(query.after) from None
        return json_answer(continued_list([turn_object(each) for each in page.found], more=page.more, last=page.last))


def subject_of(parameters: Mapping[str, str], owner: Owner) -> str | None:
    """Return whose turns are listed: the caller's, or with `scope=tenant` those of the whole tenant (None)."""
    scope = parameters.get("scope", "owner")
    if scope not in SCOPES:
        raise Invalid("Invalid 'scope': expected owner or tenant.", field="scope", code="invalid_value")
    if scope == "owner":
        return owner.subject
    require_role(owner, AppRole.OPERATIONS_READ)
    return None


def read_query(req: Request) -> TurnQuery:
    """Read the page, the days and the filters; raises Invalid."""
    parameters, wanted = req.query_params, read_newest_first(req)
    status = parameters.get("status")
    if status not in (None, *STATUSES):
        message = f"Invalid 'status': expected one of {', '.join(STATUSES)}."
        raise Invalid(message, field="status", code="invalid_value")
    kept = TurnFilter(status=status or "", model=parameters.get("model", ""), backend=parameters.get("backend", ""))
    return TurnQuery(
        limit=wanted.limit,
        after=wanted.after,
        first_at=start_of_day(parameters, "from"),
        end_at=start_of_day(parameters, "to", plus_days=1),
        keeps=kept.keeps,
    )


def turn_object(summary: TurnSummary) -> Json:
    """Return a turn without its content. Times are seconds since the epoch, amounts dollars as decimal strings."""
    turn, attempts, bill = summary.turn, summary.attempts, summary.bill
    return {
        "id": turn.id,
        "object": "turn",
        "owner": turn.owner.subject,
        "conversation": turn.history.conversation,
        "status": turn.status.value,
        "created_at": turn.created_at,
        "begun_at": turn.progress.begun_at,
        "ended_at": turn.progress.ended_at,
        "model": turn.options.model,
        "backend": attempts[-1].backend if attempts else None,
        "attempts": len(attempts),
        "cold": is_cold(summary),
        "cost_usd": f"{bill.total:.9f}",
        "cost_status": "final" if bill.final else "provisional",
    }


def is_cold(summary: TurnSummary) -> bool:
    """Return whether the turn started a backend, waited for its start, or paid for it."""
    waited = any(each.is_warm_up or each.progress.opened_at is not None for each in summary.records)
    return waited or bool(summary.bill.lines.get(BillLine.COLD))
