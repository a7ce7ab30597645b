"""What happened in a turn, and when: its steps, its durable waits, its warm-ups, and the runs that were taken over?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from api.rendering.response import Json
from domain.money.ledger_records import AttemptRecord
from domain.turns import response as domain_turns

type Turn = domain_turns.Response
type Routes = Sequence[Mapping[str, Any]]
type Moment = tuple[str, float | None]
"""A step of a turn and its time; None where the step has not happened."""


def turn_timeline(turn: Turn, routes: Routes, attempts: Sequence[AttemptRecord], runs: Sequence[Json]) -> list[Json]:
    """Return what has happened, by time: each entry has `step` and `at`, in seconds since the epoch.

    A wait has `until`, its `backend` and its `reason`; a warm-up its `backend` and `reason`; a takeover the last event
    before it (`after_event`) and the seconds without a writer (`lost_s`).
    """
    steps = [{"step": step, "at": at} for step, at in moments(turn, routes, attempts) if at is not None]
    found = (*steps, *warm_ups(routes), *waits(routes), *takeovers(runs))
    return sorted(found, key=lambda each: each["at"])


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
    """Yield each warm-up that a decision of the turn asked for."""
    for each in routes:
        route = each["route"]
        if route.get("wakes"):
            yield {"step": "warm-up", "at": each["at"], "backend": route["wakes"], "reason": route.get("why_wake", "")}


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


def takeovers(runs: Sequence[Json]) -> Iterator[Json]:
    """Yield each moment in which a run of an attempt took over from one that had died or was stopped."""
    for run in runs:
        if run["taken_over_at"] is not None:
            yield {
                "step": "taken over",
                "at": run["taken_over_at"],
                "after_event": run["last_event"],
                "lost_s": run["lost_s"],
            }
