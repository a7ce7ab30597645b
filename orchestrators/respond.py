"""In what order is one turn answered?

begin → gather → (route → infer)… → finish → settle
"""

from datetime import timedelta
from typing import Any

from azure.durable_functions import RetryOptions

from domain import wire
from orchestrators.attempts import AttemptHistory, after_attempt, after_pause
from orchestrators.context import Context, DurableTask, Steps
from orchestrators.step_costs import StepCosts

STEP_RETRY = RetryOptions(first_retry_interval_in_milliseconds=1000, max_number_of_attempts=30)
"""Half a minute for the store to become available again. Every step is safe to repeat."""


def respond(context: Context) -> Steps[wire.RespondedWire]:
    """Run one turn. The costs of its steps are settled with it."""
    costs = StepCosts()
    return (yield from costs.track(one_turn(context, costs)))


def one_turn(context: Context, costs: StepCosts) -> Steps[wire.RespondedWire]:
    """One turn, as the list of its steps. Only the first execution of a response runs them."""
    turn: wire.TurnWire = context.get_input()
    execution = turn.get("start") or str(context.new_uuid())
    begun: wire.BegunWire = yield call_step(context, wire.BEGIN, {**turn, "execution": execution})
    if not begun["mine"]:
        return {"status": "not this execution's turn"}
    try:
        ending = yield from answer(context, turn)
    except Exception as error:  # noqa: BLE001 - the one broad except of this entry point: a step failed for good
        ending = failed("server_error", f"A step of the turn failed: {first_line(error)}")
    finished: wire.FinishedWire = yield call_step(context, wire.FINISH, {**turn, **ending})
    settled: wire.SettledWire = yield call_step(context, wire.SETTLE, {**turn, **costs.for_settle()})
    return {"status": finished["status"], "cost": settled["cost"]}


def answer(context: Context, turn: wire.TurnWire) -> Steps[dict[str, str]]:
    """Make attempt after attempt until one ends the turn."""
    size = yield from gather(context, turn)
    history = AttemptHistory()
    while True:
        route_request = {**turn, "size": size, **history.for_route()}
        routed: wire.RoutedWire = yield call_step(context, wire.ROUTE, route_request)
        if routed["backend"] is None and not routed["delay_s"]:
            return failed("server_error", routed["reason"])
        if routed["backend"] is None:
            if (yield from cancelled_within(context, routed["delay_s"])):
                return cancelled()
            history = after_pause(history)
            continue
        inferred: wire.InferredWire = yield call_step(context, wire.INFER, {**turn, **history.for_infer(routed)})
        if inferred["result"] == "done":
            return completed(inferred)
        if inferred["result"] in ("failed", "ended"):
            return failed(inferred["code"], inferred["message"])
        history = after_attempt(history, routed["backend"], inferred)
        if inferred["result"] == "wait" and (yield from cancelled_within(context, inferred["delay_s"])):
            return cancelled()


def gather(context: Context, turn: wire.TurnWire) -> Steps[wire.SizeWire]:
    """Run the steps that need no other step's result in parallel.

    The host does not repeat a failed step of a `task_all`: recall then runs again alone.
    """
    if context.version != wire.ONE_BY_ONE:
        results = yield context.task_all([context.call_activity(name, turn) for name in wire.NEVER_RAISING])
        tried: dict[str, wire.TriedWire] = dict(zip(wire.NEVER_RAISING, results, strict=True))
        if tried[wire.TRY_RECALL]["value"]:
            return tried[wire.TRY_RECALL]["value"]["size"]
    recalled: wire.RecalledWire = yield call_step(context, wire.RECALL, turn)
    return recalled["size"]


def call_step(context: Context, name: str, request: Any) -> DurableTask:
    """Call an activity, and again where it fails. Failures of backends are results; it fails where the store does."""
    return context.call_activity_with_retry(name, STEP_RETRY, request)


def cancelled_within(context: Context, seconds: float) -> Steps[bool]:
    """Wait on a durable timer, which costs nothing. Return True at once where the response is cancelled meanwhile."""
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
    """The response has ended already, before the event was raised; the finish step keeps that ending."""
    return {"status": "cancelled", "code": "", "message": ""}


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()[:200]
