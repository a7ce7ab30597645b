"""In what order is one turn answered?

(enter)… → begin → gather → (route → infer → the round's calls)… → finish → settle
"""

from collections.abc import Sequence
from typing import Final

from domain import wire
from domain.call_wire import OpenRoundWire
from domain.log.events import CALLS
from orchestrators.approval_waits import settle_requests
from orchestrators.attempts import AttemptHistory, after_attempt, after_pause
from orchestrators.context import Context, Steps
from orchestrators.continuation import Progress, go_on, is_long, is_long_between_looks, take_over
from orchestrators.rounds import begin_calls, ended_calls, run_calls, running_in, size_after
from orchestrators.step_costs import StepCosts
from orchestrators.steps import call_step, call_together, cancelled_within, first_within, wait_for_place
from orchestrators.turn_waits import TurnWaits

EARLIER_TURNS: wire.WaitReasonWire = {"backend": "", "reason": "turn"}
"""The reason of a wait for the earlier turns of the conversation."""


UNKNOWN_OUTCOME: Final = (
    "The turn was stopped: the outcome of one of its calls is unknown. That call is the incomplete item of the output."
)


def respond(context: Context) -> Steps[wire.RespondedWire]:
    """Run one turn. The costs of its steps are settled with it."""
    costs, request = StepCosts(), context.get_input()
    waits = TurnWaits(in_place=request.get("in_place", False))
    return (yield from costs.track(one_turn(context, request, costs, waits)))


def one_turn(
    context: Context, request: wire.RespondWire, costs: StepCosts, waits: TurnWaits
) -> Steps[wire.RespondedWire]:
    """One turn, as the list of its steps. Only the first execution of a response runs them."""
    turn, continued, approved = turn_of(request), request.get("continued"), list[str]()
    if continued:
        take_over(continued, costs, waits)
    else:
        execution = turn.get("start") or str(context.new_uuid())
        ending = (yield from wait_for_others(context, turn, waits)) if request.get("waiting") else None
        if ending:
            return (yield from finish(context, turn, ending, costs, waits))
        begun: wire.BegunWire = yield call_step(context, wire.BEGIN, {**turn, "execution": execution})
        if not begun["mine"]:
            return {"status": "not this execution's turn"}
        approved = begun.get("calls", [])
    try:
        if continued:
            ending = yield from answer(context, turn, Progress.from_wire(continued), costs, waits)
        else:
            ending = yield from answer_from_start(context, turn, approved, costs, waits)
    except Exception as error:  # noqa: BLE001 - the one broad except of this entry point: a step failed for good
        ending = failed("server_error", f"A step of the turn failed: {first_line(error)}")
    return (yield from finish(context, turn, ending, costs, waits)) if ending else {"status": "goes on"}


def answer_from_start(
    context: Context, turn: wire.TurnWire, approved: Sequence[str], costs: StepCosts, waits: TurnWaits
) -> Steps[dict[str, str] | None]:
    """Run the calls that were approved, then answer."""
    called = yield from run_calls(context, turn, approved)
    ending, added = yield from after_calls(context, turn, called, waits)
    if ending:
        return ending
    size = size_after((yield from gather(context, turn)), added, called)
    return (yield from answer(context, turn, Progress(size=size), costs, waits))


def finish(
    context: Context, turn: wire.TurnWire, ending: dict[str, str], costs: StepCosts, waits: TurnWaits
) -> Steps[wire.RespondedWire]:
    finished: wire.FinishedWire = yield call_step(context, wire.FINISH, {**turn, **ending})
    ended = {"status": finished["status"], "code": ending["code"], **waits.for_settle()}
    settled: wire.SettledWire = yield call_step(context, wire.SETTLE, {**turn, **costs.for_settle(), **ended})
    return {"status": finished["status"], "cost": settled["cost"]}


def turn_of(request: wire.RespondWire) -> wire.TurnWire:
    turn = request.copy()
    turn.pop("waiting", None)
    turn.pop("in_place", None)
    turn.pop("continued", None)
    return turn


def wait_for_others(context: Context, turn: wire.TurnWire, waits: TurnWaits) -> Steps[dict[str, str] | None]:
    """Wait until the turns before this one have ended. Return the ending of a turn that can't begin.

    The end of the turn before it wakes it; the timer is there for a lost event. An event that arrives during a step is
    not lost, because its task is waited for before the step.
    """
    number, ended = 0, context.wait_for_external_event(wire.TURN_ENDED_EVENT)
    while True:
        entered: wire.EnteredWire = yield call_step(context, wire.ENTER, {**turn, "waits": number})
        if entered["code"]:
            return failed(entered["code"], entered["message"])
        if not entered["delay_s"]:
            return None
        cancelling = context.wait_for_external_event(wire.CANCELLED_EVENT)
        first = first_within(context, entered["delay_s"], (cancelling, ended))
        winner = yield from waits.track(context, EARLIER_TURNS, first)
        if winner is cancelling:
            return cancelled()
        if winner is ended:
            ended = context.wait_for_external_event(wire.TURN_ENDED_EVENT)
        number = 0 if winner else number + 1


def answer(
    context: Context, turn: wire.TurnWire, progress: Progress, costs: StepCosts, waits: TurnWaits
) -> Steps[dict[str, str] | None]:
    """Answer in round after round, until one ends the turn: the calls of a round are part of the next one's input.

    Returns None where the turn goes on in a new history.
    """
    size, history, begun = progress.size, progress.history, progress.open_round
    while True:
        if begun is None:
            history, inferred = yield from one_round(context, turn, size, history, waits)
            if inferred["result"] != CALLS:
                return ending_of(inferred)
            begun = yield from begin_round(context, turn, inferred)
        called = yield from ended_calls(context, turn, begun["called"], lambda: is_long_between_looks(context, costs))
        if running_in(called):
            go_on(
                context,
                turn,
                Progress(size=size, history=history, open_round={**begun, "called": called}),
                costs,
                waits,
            )
            return None
        results = list(called.values())
        ending, added = yield from after_calls(context, turn, results, waits, asks=begun["asks"])
        if ending:
            return ending
        size, begun = size_after(size_after(size, begun["added"], results), added), None
        if is_long(context, costs):
            go_on(context, turn, Progress(size=size, history=history), costs, waits)
            return None


def begin_round(context: Context, turn: wire.TurnWire, inferred: wire.InferredWire) -> Steps[OpenRoundWire]:
    """Run the calls of a round; some may go on as tasks of their servers."""
    called = yield from begin_calls(context, turn, inferred.get("calls", []))
    return {"called": called, "added": inferred.get("added"), "asks": inferred.get("hands_back", False)}


def one_round(
    context: Context, turn: wire.TurnWire, size: wire.SizeWire, history: AttemptHistory, waits: TurnWaits
) -> Steps[tuple[AttemptHistory, wire.InferredWire]]:
    """Make attempt after attempt until the model has answered, or the turn has to end."""
    lacks_cover = ""
    while True:
        route_request = {**turn, "size": size, **history.for_route()}
        routed: wire.RoutedWire = yield call_step(context, wire.ROUTE, route_request)
        if routed["backend"] is None:
            if not routed["delay_s"]:
                return history, ending_without_backend(routed["reason"], history, lacks_cover)
            pause = wait_for_place(context, history.routes + 1, routed["delay_s"])
            if (yield from waits.track(context, routed.get("wait"), pause)):
                return history, CANCELLED
            history = after_pause(history)
            continue
        inferred: wire.InferredWire = yield call_step(context, wire.INFER, {**turn, **history.for_infer(routed)})
        history = after_attempt(history, routed["backend"], inferred)
        lacks_cover = inferred["message"] if inferred.get("posture") == wire.NO_COVER else ""
        if inferred["result"] in ("done", CALLS, "failed", "ended"):
            return history, after_escalation(inferred, history)
        pause = cancelled_within(context, inferred["delay_s"])
        if inferred["result"] == "wait" and (
            yield from waits.after_attempt(context, routed["backend"], inferred, pause)
        ):
            return history, CANCELLED


def gather(context: Context, turn: wire.TurnWire) -> Steps[wire.SizeWire]:
    """Run the steps that need no other step's result in parallel; recall runs again alone where it failed."""
    if context.version != wire.ONE_BY_ONE:
        results = yield from call_together(context, [(name, turn) for name in wire.FIRST_STEPS])
        tried = dict(zip(wire.FIRST_STEPS, results, strict=True))
        if tried[wire.TRY_RECALL]["value"]:
            return tried[wire.TRY_RECALL]["value"]["size"]
    recalled: wire.RecalledWire = yield call_step(context, wire.RECALL, turn)
    return recalled["size"]


CANCELLED: Final[wire.InferredWire] = {"result": "cancelled", "code": "", "message": "", "delay_s": 0.0}


def ending_without_backend(reason: str, history: AttemptHistory, lacks_cover: str) -> wire.InferredWire:
    """End a turn that no backend takes: an answer that has reached its cap and can't go on is incomplete.

    `lacks_cover` is why the last attempt had no budget, where the turn has waited in vain for what other turns hold.
    """
    if history.capped:
        return {"result": "done", "code": "max_output_tokens", "message": reason, "delay_s": 0.0}
    if history.escalation and history.is_escalating:
        return ending_of_first(history.escalation)
    code = wire.BUDGET_EXHAUSTED if lacks_cover else "server_error"
    return {"result": "failed", "code": code, "message": lacks_cover or reason, "delay_s": 0.0}


def after_escalation(inferred: wire.InferredWire, history: AttemptHistory) -> wire.InferredWire:
    """Return the result of a round: that of the answer which failed its checks, where the better model gave none."""
    is_vain = history.is_escalating and inferred["result"] == "failed"
    return ending_of_first(history.escalation) if is_vain and history.escalation else inferred


def ending_of_first(escalation: wire.EscalationWire) -> wire.InferredWire:
    """Return the ending that a turn has where its escalation was in vain."""
    if escalation["result"] == "failed":
        return {"result": "failed", "code": escalation["code"], "message": escalation["reason"], "delay_s": 0.0}
    return {"result": "done", "code": escalation["code"], "message": "", "delay_s": 0.0}


def after_calls(
    context: Context,
    turn: wire.TurnWire,
    called: Sequence[wire.CalledToolWire],
    waits: TurnWaits,
    *,
    asks: bool = False,
) -> Steps[tuple[dict[str, str] | None, wire.SizeWire | None]]:
    """Return the ending of a turn that does not go on, and what the answers to its requests add to the next input.

    A turn that asks for approvals waits for them in place, or ends with the requests.
    """
    ending = ending_after(called)
    if ending or not (asks or any(each["outcome"] == "asks" for each in called)):
        return ending, None
    if not waits.in_place:
        return WITH_REQUESTS, None
    settled = yield from settle_requests(context, turn, waits)
    return ending_after(settled.called) or ENDINGS_OF_WAITS.get(settled.follows), settled.added


def ending_after(called: Sequence[wire.CalledToolWire]) -> dict[str, str] | None:
    """Return the ending of a turn that does not go on after these calls."""
    outcomes = {each["outcome"] for each in called}
    if "ended" in outcomes:
        return cancelled()
    return failed("server_error", UNKNOWN_OUTCOME) if "stopped" in outcomes else None


def ending_of(inferred: wire.InferredWire) -> dict[str, str]:
    match inferred["result"]:
        case "done":
            return completed(inferred)
        case "cancelled":
            return cancelled()
        case _:
            return failed(inferred["code"], inferred["message"])


def completed(inferred: wire.InferredWire) -> dict[str, str]:
    status = "incomplete" if inferred["code"] else "completed"
    return {"status": status, "code": inferred["code"], "message": inferred["message"]}


def failed(code: str, message: str) -> dict[str, str]:
    return {"status": "failed", "code": code or "server_error", "message": message}


def cancelled() -> dict[str, str]:
    """The response has ended already, before the event was raised; the finish step keeps that ending."""
    return {"status": "cancelled", "code": "", "message": ""}


WITH_REQUESTS: Final = {"status": "completed", "code": "", "message": ""}
"""The ending of a turn whose caller has to go on: with approvals, or with the results of functions."""

ENDINGS_OF_WAITS: Final = {"ended": cancelled(), "end": WITH_REQUESTS}


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()[:200]
