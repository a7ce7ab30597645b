"""Which backends did a turn run on, why, when, and at what cost?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.rendering.response import Json
from domain.money.bill import TurnBill, bill_of
from domain.money.budgets import BudgetCounter
from domain.money.ledger_records import NANOS, AttemptRecord
from domain.turns import response as domain_turns
from state.money.ledger import Ledger
from state.turns.responses import TurnStore

type Turn = domain_turns.Response
type Moment = tuple[str, float | None]
"""A step of a turn and its time; None where the step has not happened."""


class RouteReports:
    """The HTTP function that reports the routes, attempts and bill of a turn."""

    def __init__(self, *, authenticator: Authenticator, turns: TurnStore, ledger: Ledger) -> None:
        self.authenticator = authenticator
        self.turns = turns
        self.ledger = ledger

    async def route(self, req: Request) -> Response:
        """`GET /v1/responses/{response_id}/route`"""
        owner = await owner_of(req, self.authenticator)
        turn = await self.turns.read(owner, req.path_params["response_id"])
        routes = await self.turns.routes(owner, turn.id)
        records = await self.ledger.records(owner, turn.id)
        attempts = tuple(each for each in records if each.number)
        reservation = await self.ledger.reservation(owner, turn.id)
        sources = await self.turns.retrieved_context.source_reports(owner, turn.id) if turn.options.sources else None
        budgets = await self.ledger.budget_counters.limited_counters(owner, turn.id)
        body = report(turn, routes, attempts, bill_of(records, reservation), sources or ())
        return json_answer({**body, "budgets": [budget_report(*each) for each in budgets]})


def report(
    turn: Turn,
    routes: Sequence[Mapping[str, Any]],
    attempts: tuple[AttemptRecord, ...],
    bill: TurnBill,
    sources: Sequence[Mapping[str, Any]] = (),
) -> Json:
    """Return the report of a turn: times are seconds since the epoch, amounts are dollars as decimal strings.

    `sources` describes the private data that the model read, without its content.
    """
    decisions = [{"number": each["number"], "at": each["at"], **each["route"]} for each in routes]
    return {
        "response_id": turn.id,
        "route": decisions[-1] if decisions else None,
        "routes": decisions,
        "attempts": [attempt_report(attempt) for attempt in attempts],
        "sources": list(sources),
        "timeline": timeline(moments(turn, routes, attempts)),
        "bill": bill_report(bill),
        "cost_usd": dollars(bill.total),
    }


def bill_report(bill: TurnBill) -> Json:
    lines = {f"{line}_usd": dollars(amount) for line, amount in bill.lines.items()}
    return {"status": "final" if bill.final else "provisional", **lines, "total_usd": dollars(bill.total)}


def budget_report(counter: BudgetCounter, taken: int) -> Json:
    limit = counter.limit or 0
    return {
        "budget": counter.scope.name.lower(),
        "limit_usd": dollars(limit / NANOS),
        "taken_usd": dollars(taken / NANOS),
    }


def attempt_report(attempt: AttemptRecord) -> Json:
    return {
        "id": attempt.id,
        "backend": attempt.backend,
        "status": attempt.status.value,
        "result": attempt.result,
        "reason": attempt.reason,
        "started_at": attempt.started_at,
        "first_token_at": attempt.first_token_at,
        "ended_at": attempt.ended_at,
        "input_tokens": attempt.usage.input_tokens if attempt.usage else None,
        "output_tokens": attempt.usage.output_tokens if attempt.usage else None,
        "cost_usd": None if attempt.cost is None else dollars(attempt.cost),
    }


def dollars(amount: Decimal) -> str:
    return f"{amount:f}"


def moments(turn: Turn, routes: Sequence[Mapping[str, Any]], attempts: Sequence[AttemptRecord]) -> Iterator[Moment]:
    """Yield the steps of a turn in the order of their kinds."""
    yield "admitted", turn.created_at
    yield "begun", turn.progress.begun_at
    for each in routes:
        yield "routed" if each["number"] else "anticipated", each["at"]
    for attempt in attempts:
        yield f"attempt {attempt.number} started", attempt.started_at
        yield f"attempt {attempt.number} first token", attempt.first_token_at
        yield f"attempt {attempt.number} ended", attempt.ended_at
    yield "finished", turn.progress.ended_at


def timeline(steps: Iterable[Moment]) -> list[Json]:
    """Return the steps that have happened, by time."""
    happened = [(step, at) for step, at in steps if at is not None]
    return [{"step": step, "at": at} for step, at in sorted(happened, key=lambda moment: moment[1])]
