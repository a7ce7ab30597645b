"""In what order do the calls of one round run?

All of them in parallel; those that failed for want of the store again, one by one.
"""

from collections.abc import Iterable, Sequence

from domain import wire
from domain.tokens.sizes import CountWire
from orchestrators.context import Context, Steps
from orchestrators.steps import call_step, call_together


def run_calls(context: Context, turn: wire.TurnWire, calls: Sequence[str]) -> Steps[list[wire.CalledToolWire]]:
    """Run the calls of these items, and return how they ended."""
    requests: list[wire.CallToolWire] = [{**turn, "call": call} for call in calls]
    if not requests:
        return []
    tried = yield from call_together(context, [(wire.TRY_CALL_TOOL, request) for request in requests])
    called: list[wire.CalledToolWire] = []
    for request, attempt in zip(requests, tried, strict=True):
        result = attempt["value"]
        if result is None:
            result = yield call_step(context, wire.CALL_TOOL, request)
        called.append(result)
    return called


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
