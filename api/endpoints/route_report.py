"""Where did a turn go, why there, when, and what did it cost?"""

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


class RouteReports:
    """The HTTP functions that account for a turn."""

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
        held = await self.ledger.reservation(owner, turn.id)
        sources = await self.turns.given.accounts(owner, turn.id) if turn.sources else None
        standing = await self.ledger.book.standing(owner, turn.id)
        told = report(turn, routes, attempts, bill_of(records, held), sources or ())
        return json_answer({**told, "budgets": [shown_budget(*each) for each in standing]})


def report(
    turn: Turn,
    routes: Sequence[Mapping[str, Any]],
    attempts: tuple[AttemptRecord, ...],
    bill: TurnBill,
    sources: Sequence[Mapping[str, Any]] = (),
) -> Json:
    """Return the account of a turn: times are seconds since the epoch, amounts decimal strings of dollars.

    `sources` tells of the private data that the model read, and nothing of its content.
    """
    decided = [{"number": each["number"], "at": each["at"], **each["route"]} for each in routes]
    return {
        "response_id": turn.id,
        "route": decided[-1] if decided else None,
        "routes": decided,
        "attempts": [shown_attempt(attempt) for attempt in attempts],
        "sources": list(sources),
        "timeline": timeline(moments(turn, routes, attempts)),
        "bill": shown_bill(bill),
        "cost_usd": dollars(bill.total),
    }


def shown_bill(bill: TurnBill) -> Json:
    lines = {f"{line}_usd": dollars(amount) for line, amount in bill.lines.items()}
    return {"status": "final" if bill.final else "provisional", **lines, "total_usd": dollars(bill.total)}


def shown_budget(counter: BudgetCounter, taken: int) -> Json:
    limit = counter.limit or 0
    return {
        "budget": counter.scope.name.lower(),
        "limit_usd": dollars(limit / NANOS),
        "taken_usd": dollars(taken / NANOS),
    }


def shown_attempt(attempt: AttemptRecord) -> Json:
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
    """Give the steps of a turn in the order of their kinds; one that has not happened has no time."""
    yield "admitted", turn.created_at
    yield "begun", turn.begun_at
    for each in routes:
        yield "routed" if each["number"] else "anticipated", each["at"]
    for attempt in attempts:
        yield f"attempt {attempt.number} started", attempt.started_at
        yield f"attempt {attempt.number} first token", attempt.first_token_at
        yield f"attempt {attempt.number} ended", attempt.ended_at
    yield "finished", turn.ended_at


def timeline(given: Iterable[Moment]) -> list[Json]:
    happened = [(step, at) for step, at in given if at is not None]
    return [{"step": step, "at": at} for step, at in sorted(happened, key=lambda moment: moment[1])]
