"""How is a turn shown: its timeline, its route, its bill and the GPU sessions that it used?"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ganglion.remote.tables import moment, shown

BILL_LINES: Final[Mapping[str, str]] = {
    "tokens": "tokens",
    "gpu": "GPU at work",
    "cold": "GPU start",
    "tail": "GPU idle time",
    "tools": "tools",
    "store": "store requests",
    "functions": "function executions",
    "held": "still reserved",
    "total": "total",
}
"""The lines of a bill, in the order in which they are shown."""


def turn_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the timeline, the reason of the route and the bill of a turn."""
    steps = report["timeline"]
    for step in steps:
        yield f"{step['at'] - steps[0]['at']:8.3f} s  {shown('step', step['step'])}{details_of(step)}"
    if report["route"]:
        yield f"\nroute  {shown('reason', report['route']['reason'])}"
    bill = report["bill"]
    yield f"\nbill   {bill['status']}"
    for line in (each for each in BILL_LINES if f"{each}_usd" in bill):
        yield f"{BILL_LINES[line]:>21}  ${bill[f'{line}_usd']}"
    yield from session_lines(bill.get("sessions", ()))
    yield from settled_lines(bill.get("settled_sessions", ()))


def details_of(step: Mapping[str, Any]) -> str:
    """Return what a step of a timeline is about: a wait or a warm-up and its reason, the numbers of a takeover."""
    if step.get("lost_s") is not None:
        before, after = (
            "no event" if None in each else f"events {each[0]} to {each[1]}"
            for each in (step["previous"], step["next"])
        )
        return f": no writer for {step['lost_s']:.3f} s, {before} before, {after} after"
    told = [shown(name, step[name]) for name in ("endpoint", "backend", "reason", "outcome") if step.get(name)]
    if step.get("until") is not None:
        told.append(f"until {moment(step['until'])} UTC")
    return f": {', '.join(told)}" if told else ""


def session_lines(sessions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is provisional in a bill: each line of a GPU session with its three amounts, why, and until when."""
    for each in sessions:
        yield f"\nGPU session on {shown('backend', each['backend'])}: final after {moment(each['final_after'])} UTC"
        yield f"{'':>21}  {'charged now':>13}  {'used so far':>13}  {'expected':>13}"
        for line in (*each["lines"], {"line": "total", **each}):
            amounts = (f"${line[f'{name}_usd']}" for name in ("charged", "used", "expected"))
            yield f"{BILL_LINES[line['line']]:>21}  {'  '.join(f'{amount:>13}' for amount in amounts)}"
        price = each["price"]
        yield f"  {shown('reason', each['reason'])}"
        own, others = len(each["responses"]) - 1, each["members_of_others"]
        yield f"  shared with {own} more of your turns and {others} turns of other owners"
        yield f"  price {', '.join(shown(name, price[name]) for name in ('name', 'source', 'date'))}"


def settled_lines(sessions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what became final in a bill: each GPU session with the last provisional amount, and why it differs."""
    for each in sessions:
        amounts = f"provisional ${each['provisional_usd']}, final ${each['final_usd']}"
        yield f"\nGPU session on {shown('backend', each['backend'])}: {amounts}"
        yield f"  {shown('reason', each['reason'])}"
