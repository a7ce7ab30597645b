"""What is reported of a turn that has ended?"""

import json
import logging
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from domain.ids import thread_of
from domain.log.events import ResponseStatus, TokenUsage
from domain.money.ledger_records import AttemptRecord
from domain.money.settlement import Settlement
from domain.wire import NO_COVER, WaitWire
from telemetry import names
from telemetry.metrics import count_wait
from telemetry.spans import parent, record_span
from telemetry.turn import record_waits, span_id
from telemetry.turn_metrics import count_turn

logger = logging.getLogger("ganglion.turns")

UNANSWERED = frozenset({ResponseStatus.FAILED, ResponseStatus.CANCELLED})
COLD_CAUSES = frozenset({"start", "cold"})
"""The causes of a wait for a backend's start."""
NOT_FOR_A_BACKEND = frozenset({"turn", "approval", NO_COVER})
"""The causes of other waits: for earlier turns of the conversation, for people, and for what others hold of a budget.
"""


class EndedTurn(Struct, frozen=True, kw_only=True):
    """A turn after its settlement. Times are seconds since the epoch; `code` says why it failed or is incomplete."""

    response_id: str
    tenant: str
    traceparent: str
    status: str
    code: str
    settlement: Settlement
    ended_at: float
    waits: Sequence[WaitWire] = ()

    @property
    def started_at(self) -> float:
        """When the turn was admitted: just before, its worst case was reserved."""
        reservation = self.settlement.reservation
        return reservation.at if reservation else self.ended_at

    @property
    def calls(self) -> Sequence[AttemptRecord]:
        return [each for each in self.settlement.records if each.number]

    @property
    def is_cold(self) -> bool:
        """Tell whether the turn sent a warm-up or waited for a start."""
        sent_warm_up = any(each.is_warm_up for each in self.settlement.records)
        return sent_warm_up or any(wait["reason"] in COLD_CAUSES for wait in self.waits)

    @property
    def usage(self) -> TokenUsage:
        """The tokens that the turn paid for, in all its attempts."""
        usages = [each.progress.usage for each in self.calls if each.progress.usage]
        return TokenUsage(
            input_tokens=sum(usage.input_tokens for usage in usages),
            cached_tokens=sum(usage.cached_tokens for usage in usages),
            output_tokens=sum(usage.output_tokens for usage in usages),
        )


def waits_for_backends(waits: Sequence[WaitWire]) -> Sequence[WaitWire]:
    return [wait for wait in waits if wait["reason"] not in NOT_FOR_A_BACKEND]


def report_turn(turn: EndedTurn) -> None:
    """Show the whole turn in its trace, and count it. Only the settlement that closed the reservation counts."""
    if turn.settlement.is_first:
        seconds = turn.ended_at - turn.started_at
        count_turn(turn.tenant, status=turn.status, reason=turn.code, seconds=seconds, settlement=turn.settlement)
        for wait in waits_for_backends(turn.waits):
            count_wait(wait["backend"], wait["until"] - wait["since"], reason=wait["reason"])
    show_turn(turn)
    logger.info("%s", json.dumps(log_line(turn)))


def show_turn(turn: EndedTurn) -> None:
    """Show the turn and its waits as spans. Safe to repeat: they are the same spans."""
    record_waits(turn.waits, traceparent=turn.traceparent, response_id=turn.response_id)
    usage, calls = turn.usage, turn.calls
    called = {names.BACKEND: calls[-1].backend, names.REQUEST_MODEL: calls[-1].model} if calls else {}
    record_span(
        names.AGENT_SPAN,
        {
            names.OPERATION: names.INVOKE_AGENT,
            names.AGENT_NAME: names.SERVICE,
            names.RESPONSE_ID: turn.response_id,
            names.CONVERSATION_ID: thread_of(turn.response_id) or "",
            names.INPUT_TOKENS: usage.input_tokens,
            names.CACHED_TOKENS: usage.cached_tokens,
            names.OUTPUT_TOKENS: usage.output_tokens,
            names.TURN_STATUS: turn.status,
            names.TURN_ATTEMPTS: len(calls),
            names.COST: float(turn.settlement.cost),
            **called,
        },
        under=parent(turn.traceparent),
        start=turn.started_at,
        end=turn.ended_at,
        own_id=span_id(turn.response_id),
        error=(turn.code or turn.status) if turn.status in UNANSWERED else "",
    )


def log_line(turn: EndedTurn) -> dict[str, Any]:
    """Return the one line about the turn: ids and figures, never content. Without a trace, its two ids are empty."""
    usage, calls = turn.usage, turn.calls
    return {
        "event": "turn_ended",
        "response": turn.response_id,
        "tenant": turn.tenant,
        "trace_id": turn.traceparent.split("-")[1] if turn.traceparent else "",
        "span_id": f"{span_id(turn.response_id):016x}" if turn.traceparent else "",
        "status": turn.status,
        "reason": turn.code,
        "backend": calls[-1].backend if calls else None,
        "start": "cold" if turn.is_cold else "warm",
        "seconds": round(turn.ended_at - turn.started_at, 3),
        "attempts": len(calls),
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "dollars": str(turn.settlement.cost),
    }
