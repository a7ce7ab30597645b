"""Which backends did a turn run on, why, when, and at what cost?"""

from collections.abc import Container, Mapping, Sequence
from decimal import Decimal
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.rendering.attempt_runs import attempt_runs
from api.rendering.bill import settled_sessions, shared_session
from api.rendering.gpu_pauses import pause_report
from api.rendering.response import Json
from api.rendering.turn_timeline import TurnAccount, turn_timeline
from domain.content.items import Item, ItemKind, ItemStatus
from domain.fleet.catalog import Fleet
from domain.identity.owners import Owner
from domain.log.events import Slot
from domain.money.bill import TurnBill, bill_of
from domain.money.budgets import BudgetCounter
from domain.money.ledger_records import NANOS, AttemptRecord
from domain.tools.approvals import Approval
from domain.tools.call_record import CallRecord, hash_of
from domain.turns import response as domain_turns
from domain.turns.origins import origin_of
from state.money.ledger import Ledger
from state.money.session_outlooks import SessionOutlooks
from state.tools.turn_pauses import TurnPauses
from state.turns.responses import TurnStore
from state.turns.tool_calls import ToolCalls
from state.webhook_outbox import WebhookOutbox

type Turn = domain_turns.Response


class RouteReports:
    """The HTTP function that reports the routes, attempts and bill of a turn."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        turns: TurnStore,
        ledger: Ledger,
        tool_calls: ToolCalls,
        gpu_pauses: TurnPauses,
        outlooks: SessionOutlooks,
        outbox: WebhookOutbox,
        fleet: Fleet,
    ) -> None:
        self.authenticator = authenticator
        self.turns = turns
        self.ledger = ledger
        self.tool_calls = tool_calls
        self.gpu_pauses = gpu_pauses
        self.outlooks = outlooks
        self.outbox = outbox
        self.prices = {name: each.price for name, each in fleet.backends.items()}

    async def route(self, req: Request) -> Response:
        """`GET /v1/responses/{response_id}/route`"""
        owner = await owner_of(req, self.authenticator)
        turn = await self.turns.read(owner, req.path_params["response_id"])
        routes = await self.turns.routes(owner, turn.id)
        records = await self.ledger.records(owner, turn.id)
        attempts = tuple(each for each in records if each.number)
        reservation = await self.ledger.reservation(owner, turn.id)
        sources = await self.turns.retrieved_context.source_reports(owner, turn.id) if turn.options.sources else None
        budgets = await self.ledger.budget_counters.limited_counters(owner, turn.id, origin_of(turn.options))
        slots = await self.turns.slots(owner, turn.id)
        notes = await self.outbox.of_response(owner, turn.id) if turn.progress.ended_at else ()
        account = TurnAccount(
            turn=turn, routes=routes, attempts=attempts, slots=slots, deliveries=notes, prices=self.prices
        )
        body = report(account, bill_of(records, reservation), sources or ())
        body["runs"] = attempt_runs(slots)
        body["bill"]["sessions"] = [shared_session(each) for each in await self.outlooks.of(owner, records)]
        body["bill"]["settled_sessions"] = settled_sessions(records)
        if turn.options.tool_config.servers:
            log = await self.turns.transcript(owner, turn.id)
            costs = {each.call: each.charge.owed for each in records if each.call}
            own = [each for each in await self.tool_calls.of_response(owner, turn.id) if not each.is_shared]
            sent = {each.item for each in own}
            calls = [call_report(each, costs.get(each.item)) for each in own]
            calls += [unsent_report(each) for each in log.items if is_unsent(each, sent)]
            approved = [await self.approved_call(owner, item, costs) for item in log.items if is_approved(item)]
            asked = [await self.turns.approvals.find(owner, item.id) for item in log.items if is_request(item)]
            approvals = [approval_report(each) for each in asked if each]
            body |= {"rounds": log.rounds, "calls": [*approved, *calls], "approvals": approvals}
            body["pauses"] = [pause_report(each) for each in await self.gpu_pauses.of_response(owner, turn.id)]
        return json_answer({**body, "budgets": [budget_report(*each) for each in budgets]})

    async def approved_call(self, owner: Owner, item: Item, costs: Mapping[str, Decimal]) -> Json:
        """Return the report of an approved call, whose record belongs to the turn that asked for it."""
        approval = await self.turns.approvals.find(owner, item.approval)
        record = await self.tool_calls.find(owner, approval.response, approval.request) if approval else None
        if approval is None or record is None:
            return {"id": item.id, "server": item.server, "tool": item.name, "outcome": item.status.value}
        return call_report(record, costs.get(item.id)) | {"id": item.id, "approval": approval_report(approval)}


def is_approved(item: Item) -> bool:
    return item.kind is ItemKind.MCP_CALL and bool(item.approval)


def is_unsent(item: Item, sent: Container[str]) -> bool:
    """Tell whether a call ended without a request: a limit was reached, or its arguments did not match."""
    is_call = item.kind is ItemKind.MCP_CALL and not item.approval and item.status is ItemStatus.FAILED
    return is_call and item.id not in sent


def is_request(item: Item) -> bool:
    return item.kind is ItemKind.APPROVAL_REQUEST


def approval_report(approval: Approval) -> Json:
    """Return who was asked about which call, and who decided it when, without its content."""
    decision = approval.decision
    return {
        "id": approval.request,
        "server": approval.server,
        "tool": approval.tool,
        "arguments_hash": approval.arguments_hash,
        "asked_roles": list(approval.roles),
        "four_eyes": approval.four_eyes,
        "asked_at": approval.asked_at,
        "expires_at": approval.expires_at,
        "approve": decision.approves if decision else None,
        "decided_by": decision.by if decision else None,
        "decided_at": decision.at if decision else None,
    }


def backend_words(slots: Sequence[Slot]) -> Mapping[int, str]:
    """Return the backend's own message by the number of each attempt that failed with one."""
    return {slot.outcome.attempt: slot.outcome.words for slot in slots if slot.outcome and slot.outcome.words}


def report(account: TurnAccount, bill: TurnBill, sources: Sequence[Mapping[str, Any]] = ()) -> Json:
    """Return the report of a turn: times are seconds since the epoch, amounts are dollars as decimal strings.

    `sources` describes the private data that the model read, without its content.
    """
    words = backend_words(account.slots)
    decisions = [{"number": each["number"], "at": each["at"], **each["route"]} for each in account.routes]
    return {
        "response_id": account.turn.id,
        "route": decisions[-1] if decisions else None,
        "routes": decisions,
        "attempts": [attempt_report(attempt, words.get(attempt.number, "")) for attempt in account.attempts],
        "sources": list(sources),
        **cache_report(account.turn),
        "timeline": turn_timeline(account),
        "bill": bill_report(bill),
        "cost_usd": dollars(bill.total),
    }


def cache_report(turn: Turn) -> Json:
    """Return which turn gave the answer first, for a turn that asked for a cached answer; None: the turn itself."""
    use = turn.options.cache
    return {"cache": {"response_id": use.first or None, "max_age_s": use.max_age_s}} if use else {}


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


def attempt_report(attempt: AttemptRecord, words: str = "") -> Json:
    progress, cost = attempt.progress, attempt.charge.cost
    return {
        "id": attempt.id,
        "backend": attempt.backend,
        "status": attempt.charge.status.value,
        "result": progress.result,
        "reason": progress.reason,
        **({"backend_message": words} if words else {}),
        "started_at": attempt.started_at,
        "first_token_at": progress.first_token_at,
        "ended_at": progress.ended_at,
        "input_tokens": progress.usage.input_tokens if progress.usage else None,
        "cached_tokens": progress.usage.cached_tokens if progress.usage else None,
        "output_tokens": progress.usage.output_tokens if progress.usage else None,
        "cost_usd": None if cost is None else dollars(cost),
    }


def call_report(call: CallRecord, cost: Decimal | None = None) -> Json:
    """Return what is known of a call that was sent, without its content; `cost` is that of a tool with a price."""
    outcome = call.outcome.status.value if call.outcome else None
    return {
        "id": call.item,
        "server": call.server,
        "tool": call.tool,
        "arguments_hash": call.arguments_hash,
        "started_at": call.started_at,
        "ended_at": call.ended_at,
        "seconds": None if call.ended_at is None else round(call.ended_at - call.started_at, 3),
        "tries": call.tries,
        "cost_usd": dollars(cost or Decimal(0)),
        "outcome": "unknown" if call.outcome and call.outcome.unknown else outcome,
    }


def unsent_report(item: Item) -> Json:
    return {
        "id": item.id,
        "server": item.server,
        "tool": item.name,
        "arguments_hash": hash_of(item.text),
        "started_at": None,
        "ended_at": None,
        "seconds": None,
        "tries": 0,
        "cost_usd": dollars(Decimal(0)),
        "outcome": item.status.value,
    }


def dollars(amount: Decimal) -> str:
    return f"{amount:f}"
