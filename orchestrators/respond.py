"""In what order is one turn answered?

begin → gather → (route → infer)… → finish → settle
"""

from datetime import timedelta
from typing import Any

from azure.durable_functions import RetryOptions

from domain import wire
from orchestrators.attempts import AttemptHistory, after, after_pause
from orchestrators.context import Context, DurableTask, Steps
from orchestrators.step_costs import StepCosts

STEP_RETRY = RetryOptions(first_retry_interval_in_milliseconds=1000, max_number_of_attempts=30)
"""Half a minute for a store to come back. Every step is safe to repeat."""


def respond(context: Context) -> Steps[wire.RespondedWire]:
    """One turn; what its steps have spent is settled with it."""
    tab = StepCosts()
    return (yield from tab.counted(one_turn(context, tab)))


def one_turn(context: Context, tab: StepCosts) -> Steps[wire.RespondedWire]:
    """One turn, as the list of its steps. A second start of a response that began finds that it isn't its turn."""
    turn: wire.TurnWire = context.get_input()
    execution = turn.get("start") or str(context.new_uuid())
    begun: wire.BegunWire = yield step(context, wire.BEGIN, {**turn, "execution": execution})
    if not begun["mine"]:
        return {"status": "not this execution's turn"}
    try:
        ending = yield from answer(context, turn)
    except Exception as error:  # noqa: BLE001 - the one broad except of this entry point: a step failed for good
        ending = failed("server_error", f"A step of the turn failed: {first_line(error)}")
    finished: wire.FinishedWire = yield step(context, wire.FINISH, {**turn, **ending})
    settled: wire.SettledWire = yield step(context, wire.SETTLE, {**turn, **tab.for_settle()})
    return {"status": finished["status"], "cost": settled["cost"]}


def answer(context: Context, turn: wire.TurnWire) -> Steps[dict[str, str]]:
    """Attempt after attempt, until one ends the turn."""
    size = yield from gather(context, turn)
    tried = AttemptHistory()
    while True:
        asked = {**turn, "size": size, **tried.for_route()}
        routed: wire.RoutedWire = yield step(context, wire.ROUTE, asked)
        if routed["backend"] is None and not routed["delay_s"]:
            return failed("server_error", routed["reason"])
        if routed["backend"] is None:
            if (yield from cancelled_within(context, routed["delay_s"])):
                return cancelled()
            tried = after_pause(tried)
            continue
        inferred: wire.InferredWire = yield step(context, wire.INFER, {**turn, **tried.for_infer(routed)})
        if inferred["result"] == "done":
            return completed(inferred)
        if inferred["result"] in ("failed", "ended"):
            return failed(inferred["code"], inferred["message"])
        tried = after(tried, routed["backend"], inferred)
        if inferred["result"] == "wait" and (yield from cancelled_within(context, inferred["delay_s"])):
            return cancelled()


def gather(context: Context, turn: wire.TurnWire) -> Steps[wire.SizeWire]:
    """All that needs nobody else's result, at once. The host repeats no step of a compound: what failed runs alone."""
    if context.version != wire.ONE_BY_ONE:
        tried = yield context.task_all([context.call_activity(name, turn) for name in wire.NEVER_RAISING])
        found: dict[str, wire.TriedWire] = dict(zip(wire.NEVER_RAISING, tried, strict=True))
        if found[wire.TRY_RECALL]["value"]:
            return found[wire.TRY_RECALL]["value"]["size"]
    recalled: wire.RecalledWire = yield step(context, wire.RECALL, turn)
    return recalled["size"]


def step(context: Context, name: str, given: Any) -> DurableTask:
    """An activity. What a backend refuses is its result; it fails where the store can't answer, and is tried again."""
    return context.call_activity_with_retry(name, STEP_RETRY, given)


def cancelled_within(context: Context, seconds: float) -> Steps[bool]:
    """Wait on a durable timer, which costs nothing; True at once where the response is cancelled meanwhile."""
    timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))
    event = context.wait_for_external_event(wire.CANCELLED_EVENT)
    winner = yield context.task_any([timer, event])
    if winner is event:
        timer.cancel()
    return winner is event


def completed(inferred: wire.InferredWire) -> dict[str, str]:
    status = "incomplete" if inferred["code"] else "completed"
    return {"status": status, "code": inferred["code"], "message": inferred["message"]}


def failed(code: str, message: str) -> dict[str, str]:
    return {"status": "failed", "code": code or "server_error", "message": message}


def cancelled() -> dict[str, str]:
    """Whoever raised the event has ended the response; their ending stands."""
    return {"status": "cancelled", "code": "", "message": ""}


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()[:200]
