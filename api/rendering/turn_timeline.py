"""What happened in a turn, and when: its steps, waits, warm-ups, handovers, takeovers and webhook deliveries?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from msgspec import Struct, field

from api.rendering.attempt_runs import attempt_runs
from api.rendering.response import Json
from domain.log.events import Slot
from domain.money.costing import time_cost
from domain.money.ledger_records import AttemptRecord
from domain.money.prices import Price, TimePrice
from domain.turns import response as domain_turns
from state.webhook_outbox import DeliveryNote

HANDOVER: Final = "handover"

type Turn = domain_turns.Response
type Routes = Sequence[Mapping[str, Any]]
type Moment = tuple[str, float | None]
"""A step of a turn and its time; None where the step has not happened."""


class TurnAccount(Struct, frozen=True, kw_only=True):
    """What is known of a turn; `prices` are those of the backends by name."""

    turn: Turn
    routes: Routes
    attempts: Sequence[AttemptRecord]
    slots: Sequence[Slot] = ()
    deliveries: Sequence[DeliveryNote] = ()
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])


def turn_timeline(account: TurnAccount) -> list[Json]:
    """Return what has happened, by time: each entry has `step` and `at`, in seconds since the epoch.

    A wait has `until`, its `backend` and its `reason`; a warm-up its `backend`, `reason` and `outcome`: `sent`,
    `not sent` as another request starts the backend or no budget covers it, null where it is not known; a handover the
    `attempt` that goes on in another one; a webhook its `endpoint`, `outcome` and `tries`. For a takeover see
    `takeovers`.
    """
    routes = account.routes
    steps = [{"step": step, "at": at} for step, at in moments(account.turn, routes, account.attempts) if at is not None]
    found = (*steps, *warm_ups(routes), *waits(routes), *takeovers(account), *handovers(account.slots))
    return sorted((*found, *webhooks(account.deliveries)), key=lambda each: each["at"])


def moments(turn: Turn, routes: Routes, attempts: Iterable[AttemptRecord]) -> Iterator[Moment]:
    """Yield the steps of a turn in the order of their kinds."""
    yield "admitted", turn.created_at
    yield "begun", turn.progress.begun_at
    for each in routes:
        yield "routed" if each["number"] else "anticipated", each["at"]
    for attempt in attempts:
        yield f"attempt {attempt.number} started", attempt.started_at
        yield f"attempt {attempt.number} accepted by a cold backend", attempt.progress.opened_at
        yield f"attempt {attempt.number} first token", attempt.progress.first_token_at
        yield f"attempt {attempt.number} ended", attempt.progress.ended_at
    yield "finished", turn.progress.ended_at


def warm_ups(routes: Routes) -> Iterator[Json]:
    """Yield each warm-up that a decision of the turn asked for. The decision is recorded after the request was held."""
    for each in routes:
        route = each["route"]
        if route.get("wakes"):
            routed: Mapping[str, Any] = each.get("routed") or {}
            sent = routed.get("woken")
            yield {
                "step": "warm-up",
                "at": route.get("decided_at", each["at"]),
                "backend": route["wakes"],
                "reason": route.get("why_wake", ""),
                "outcome": None if sent is None else "sent" if sent else "not sent",
            }


def waits(routes: Routes) -> Iterator[Json]:
    """Yield each wait on a durable timer, as it was planned."""
    for each in routes:
        routed: Mapping[str, Any] = each.get("routed") or {}
        if delay_s := routed.get("delay_s"):
            cause: Mapping[str, str] = routed.get("wait") or {}
            yield {
                "step": "waiting",
                "at": each["at"],
                "until": each["at"] + delay_s,
                "backend": cause.get("backend") or None,
                "reason": cause.get("reason", ""),
            }


def takeovers(account: TurnAccount) -> Iterator[Json]:
    """Yield each moment in which a run of an attempt took over from one that had died or was stopped.

    `previous` and `next` say which events these runs wrote; `previous_seen_at` is the last sign of the earlier one, and
    `lost_s` are the seconds without a writer. `cost_usd` is what that time costs on a rented machine, with the tokens
    that the earlier run reported later; null where neither is known.
    """
    for run, following in pairwise(attempt_runs(account.slots)):
        if run["taken_over_at"] is not None:
            attempt = attempt_at(account.attempts, run["taken_over_at"])
            cost = takeover_cost(attempt, account.prices, run["lost_s"]) if attempt else None
            yield {
                "step": "taken over",
                "at": run["taken_over_at"],
                "after_event": run["last_event"],
                "lost_s": run["lost_s"],
                "attempt": attempt.number if attempt else None,
                "previous": [run["first_event"], run["last_event"]],
                "previous_seen_at": run["last_at"],
                "next": [following["first_event"], following["last_event"]],
                "cost_usd": None if cost is None else f"{cost:.9f}",
            }


def attempt_at(attempts: Iterable[AttemptRecord], at: float) -> AttemptRecord | None:
    """Return the attempt that had begun last at a time."""
    return max((each for each in attempts if each.started_at <= at), key=lambda each: each.started_at, default=None)


def takeover_cost(attempt: AttemptRecord, prices: Mapping[str, Price], lost_s: float) -> Decimal | None:
    price, late = prices.get(attempt.backend), sum(attempt.charge.late.values(), Decimal(0))
    if isinstance(price, TimePrice):
        return time_cost(price, max(0.0, lost_s)) + late
    return late or None


def handovers(slots: Iterable[Slot]) -> Iterator[Json]:
    """Yield each moment in which an attempt ended on purpose, so that the next one goes on with the answer."""
    for slot in slots:
        if slot.outcome and slot.outcome.result == HANDOVER:
            yield {
                "step": "handed over",
                "at": slot.at,
                "attempt": slot.outcome.attempt,
                "after_event": slot.next_sequence - 1,
            }


def webhooks(notes: Iterable[DeliveryNote]) -> Iterator[Json]:
    """Yield the delivery of each message about the turn's end: when it was over, or since when it is due."""
    for each in notes:
        delivery = each.delivery
        yield {
            "step": "webhook",
            "at": delivery.at if each.closed_at is None else each.closed_at,
            "endpoint": delivery.endpoint,
            "outcome": each.outcome,
            "tries": delivery.tries,
            "until": delivery.due_at if each.closed_at is None else None,
        }
