"""In what order do the calls of one round run?

All of them in parallel, several in one step; those that failed for want of the store again, one by one. Calls that
their servers run as tasks are waited for on durable timers, and looked at now and then: those due soon, together.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from domain import wire
from domain.call_wire import ONE_CALL_A_STEP, ONE_LOOK_A_STEP
from domain.tokens.sizes import CountWire
from orchestrators.context import Context, Steps
from orchestrators.steps import call_step, call_together, cancelled_within, seconds_now

LEAST_WAIT_S: Final = 0.5
SOON_SHARE: Final = 0.25
SOON_S: Final = 1.0
"""A look waits for further tasks that are due a quarter of its wait later, or a second."""

CALLS_OF_A_STEP: Final = 8
"""So many calls run in one step, in one process."""


def run_calls(context: Context, turn: wire.TurnWire, calls: Sequence[str]) -> Steps[list[wire.CalledToolWire]]:
    """Run the calls of these items, and return how they ended."""
    called = yield from begin_calls(context, turn, calls)
    return list((yield from ended_calls(context, turn, called)).values())


def begin_calls(context: Context, turn: wire.TurnWire, calls: Sequence[str]) -> Steps[dict[str, wire.CalledToolWire]]:
    """Run the calls of these items, and return how they ended, or that they run as tasks of their servers."""
    if not calls:
        return {}
    tried = yield from try_calls(context, turn, calls)
    return (yield from with_repeats(context, turn, dict(zip(calls, tried, strict=True))))


def with_repeats(
    context: Context, turn: wire.TurnWire, tried: dict[str, wire.CalledToolWire | None], **more: bool
) -> Steps[dict[str, wire.CalledToolWire]]:
    """Return how the calls ended; those without a result are run again, one by one."""
    called: dict[str, wire.CalledToolWire] = {}
    for call, first in tried.items():
        result = first
        if result is None:
            result = yield call_step(context, wire.CALL_TOOL, {**turn, "call": call, **more})
        called[call] = result
    return called


def ended_calls(
    context: Context,
    turn: wire.TurnWire,
    called: dict[str, wire.CalledToolWire],
    is_enough: Callable[[], bool] = lambda: False,
) -> Steps[dict[str, wire.CalledToolWire]]:
    """Return how the calls ended; those that run as tasks of their servers are looked at until they have.

    Where this history has had enough, some are running still.
    """
    while (running := running_in(called)) and not is_enough():
        until = next_look(context, [result.get("until", 0.0) for result in running.values()])
        is_cancelled = yield from cancelled_within(context, max(LEAST_WAIT_S, until - seconds_now(context)))
        now = seconds_now(context)
        due = [call for call, result in running.items() if is_cancelled or result.get("until", 0.0) <= now]
        called |= yield from looked_at(context, turn, due)
    return called


def running_in(called: dict[str, wire.CalledToolWire]) -> dict[str, wire.CalledToolWire]:
    return {call: result for call, result in called.items() if result["outcome"] == "running"}


def next_look(context: Context, times: Sequence[float]) -> float:
    """Return when to look: when the first task is due, or the last of those that are due soon after it."""
    first = min(times)
    if context.version in ONE_LOOK_A_STEP:
        return first
    soon_s = max(SOON_S, SOON_SHARE * (first - seconds_now(context)))
    return max(each for each in times if each <= first + soon_s)


def looked_at(context: Context, turn: wire.TurnWire, due: Sequence[str]) -> Steps[dict[str, wire.CalledToolWire]]:
    """Look at calls that run as tasks, several of them in one step."""
    if len(due) <= 1 or context.version in ONE_LOOK_A_STEP:
        return (yield from with_repeats(context, turn, dict.fromkeys(due), looks=True))
    looks = yield from call_in_groups(context, turn, due, looks=True)
    return (yield from with_repeats(context, turn, dict(zip(due, looks, strict=True)), looks=True))


def try_calls(
    context: Context, turn: wire.TurnWire, calls: Sequence[str]
) -> Steps[Sequence[wire.CalledToolWire | None]]:
    """Run the calls once, and return how they ended; None for those that have to be repeated."""
    if len(calls) == 1 or context.version in ONE_CALL_A_STEP:
        single = yield from call_together(context, [(wire.TRY_CALL_TOOL, {**turn, "call": call}) for call in calls])
        return [each["value"] for each in single]
    return (yield from call_in_groups(context, turn, calls))


def call_in_groups(
    context: Context, turn: wire.TurnWire, calls: Sequence[str], **more: bool
) -> Steps[Sequence[wire.CalledToolWire | None]]:
    groups = [list(calls[at : at + CALLS_OF_A_STEP]) for at in range(0, len(calls), CALLS_OF_A_STEP)]
    requests = [(wire.TRY_CALL_TOOLS, {**turn, "calls": group, **more}) for group in groups]
    tried = yield from call_together(context, requests)
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
