"""In what order do the calls of one round run?

All of them in parallel, several in one step; those that failed for want of the store again, one by one. A call that its
server runs as a task is waited for on durable timers, and looked at now and then.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from domain import wire
from domain.call_wire import ONE_CALL_A_STEP
from domain.tokens.sizes import CountWire
from orchestrators.context import Context, Steps
from orchestrators.steps import call_step, call_together, cancelled_within, seconds_now

LEAST_WAIT_S: Final = 0.5
CALLS_OF_A_STEP: Final = 8
"""So many calls run in one step, in one process."""


def run_calls(context: Context, turn: wire.TurnWire, calls: Sequence[str]) -> Steps[list[wire.CalledToolWire]]:
    """Run the calls of these items, and return how they ended."""
    if not calls:
        return []
    tried = yield from try_calls(context, turn, calls)
    called: list[wire.CalledToolWire] = []
    for call, first in zip(calls, tried, strict=True):
        result = first
        if result is None:
            result = yield call_step(context, wire.CALL_TOOL, {**turn, "call": call})
        called.append(result)
    return (yield from ended_calls(context, turn, dict(zip(calls, called, strict=True))))


def ended_calls(
    context: Context, turn: wire.TurnWire, called: dict[str, wire.CalledToolWire]
) -> Steps[list[wire.CalledToolWire]]:
    """Return how the calls ended; those that run as tasks of their servers are looked at until they have."""
    while running := {call: result for call, result in called.items() if result["outcome"] == "running"}:
        left_s = min(result.get("until", 0.0) for result in running.values()) - seconds_now(context)
        is_cancelled = yield from cancelled_within(context, max(LEAST_WAIT_S, left_s))
        now = seconds_now(context)
        due = [call for call, result in running.items() if is_cancelled or result.get("until", 0.0) <= now]
        for call in due:
            called[call] = yield call_step(context, wire.CALL_TOOL, {**turn, "call": call, "looks": True})
    return list(called.values())


def try_calls(
    context: Context, turn: wire.TurnWire, calls: Sequence[str]
) -> Steps[Sequence[wire.CalledToolWire | None]]:
    """Run the calls once, and return how they ended; None for those that have to be repeated."""
    if len(calls) == 1 or context.version in ONE_CALL_A_STEP:
        single = yield from call_together(context, [(wire.TRY_CALL_TOOL, {**turn, "call": call}) for call in calls])
        return [each["value"] for each in single]
    groups = [list(calls[at : at + CALLS_OF_A_STEP]) for at in range(0, len(calls), CALLS_OF_A_STEP)]
    tried = yield from call_together(context, [(wire.TRY_CALL_TOOLS, {**turn, "calls": group}) for group in groups])
    return [each for group, result in zip(groups, tried, strict=True) for each in ends_of(group, result)]


def ends_of(group: Sequence[str], tried: wire.TriedWire) -> Sequence[wire.CalledToolWire | None]:
    return tried["value"]["calls"] if tried["value"] else [None] * len(group)


def size_after(
    size: wire.SizeWire, text: wire.SizeWire | None, called: Iterable[wire.CalledToolWire] = ()
) -> wire.SizeWire:
    """Return the size of the input of the next round; `text` is what came beside the calls."""
    for added in (text, *(each["added"] for each in called)):
        if added:
            grown: wire.SizeWire = {
                "expected": size["expected"] + added["expected"],
                "likely": size["likely"] + added["likely"],
                "ceiling": size["ceiling"] + added["ceiling"],
                "bytes": size["bytes"] + added["bytes"],
            }
            counts = {model: count_after(count, added) for model, count in size.get("counts", {}).items()}
            size = {**grown, "counts": counts} if counts else grown
    return size


def count_after(count: CountWire, added: wire.SizeWire) -> CountWire:
    """Return the tokens for one model, after a part whose tokens are estimated was added."""
    return {
        "expected": count["expected"] + added["expected"],
        "likely": count["likely"] + added["likely"],
        "ceiling": count["ceiling"] + added["ceiling"],
        "counted_by": count["counted_by"],
    }
