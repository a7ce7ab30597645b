"""Which paths can a turn take, and what happens to its orchestration on each?"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, Final

from tests.orchestrators.durable_host import START, Completes, DurableHost, Fails, Fires, HostEvent, Raised

TURN: Final = {
    "tenant": "11111111-1111-1111-1111-111111111111",
    "subject": "user:22222222-2222-2222-2222-222222222222",
    "response": f"resp_{'a' * 24}{'b' * 24}",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
NOTHING: Final = {"expected": 0, "likely": 0, "ceiling": 0, "bytes": 0}
SIZE: Final = {"expected": 100, "likely": 120, "ceiling": 150, "bytes": 400}


def routed(backend: str | None = "small", *, delay_s: float = 0.0, reason: str = "cheapest") -> Completes:
    return Completes(
        {
            "backend": backend,
            "reason": reason,
            "worst_cost": "0.0042",
            "output_tokens": 512 if backend else 0,
            "has_alternative": True,
            "delay_s": delay_s,
        }
    )


def inferred(result: str, *, code: str = "", message: str = "", delay_s: float = 0.0) -> Completes:
    return Completes({"result": result, "code": code, "message": message, "delay_s": delay_s})


def ended(status: str) -> tuple[Completes, Completes]:
    return Completes({"status": status}), Completes({"cost": "0.0021"})


WAITING: Final = Completes({"delay_s": 2.0, "code": "", "message": ""})
ENTERED: Final = Completes({"delay_s": 0.0, "code": "", "message": ""})
EXPIRED: Final = Completes({"delay_s": 0.0, "code": "server_error", "message": "the deadline passed"})
MINE: Final = Completes({"mine": True})
ANTICIPATED: Final = Completes({"value": {"backend": None, "woken": False}, "problem": ""}, name="anticipate")
RECALLED: Final = Completes({"value": {"size": SIZE, "messages": 3}, "problem": ""}, name="try_recall")
RECALLED_ALONE: Final = Completes({"size": SIZE, "messages": 3})
UNKNOWN_SIZE: Final = Completes({"value": None, "problem": "no answer"}, name="try_recall")
COLD: Final = inferred("wait", message="status 503: it is starting; trying again in 2.0 s", delay_s=2.0)

FAILED_OVER: Final = inferred("elsewhere", message="status 500")
WRONG: Final = inferred("failed", code="invalid_prompt", message="status 400")
WHOLE: Final = (routed(), inferred("done"), *ended("completed"))

LOST: Final = {"value": None, "problem": "no answer"}
DONE: Final = {"outcome": "completed", "added": SIZE}


def asks(*calls: str, hands_back: bool = False) -> Completes:
    """Return an attempt whose model called tools that the server runs."""
    base = {"result": "calls", "code": "", "message": "", "delay_s": 0.0}
    return Completes({**base, "calls": list(calls), "added": SIZE, "hands_back": hands_back})


def called(outcome: str) -> Completes:
    return Completes({"value": {"outcome": outcome, "added": SIZE}, "problem": ""})


def called_together(*outcomes: str | None) -> Completes:
    """Return the ends of calls that ran in one step; None for one that has to be repeated."""
    ends = [{"outcome": outcome, "added": SIZE} if outcome else None for outcome in outcomes]
    return Completes({"value": {"calls": ends}, "problem": ""})


def goes_on(after_s: float) -> dict[str, Any]:
    """Return the end of a step that has looked at a task: it is looked at again `after_s` after the host's start."""
    return {"outcome": "running", "added": NOTHING, "until": START.timestamp() + after_s}


def looked_at(*ends: dict[str, Any] | None) -> Completes:
    """Return what one step has found of several tasks."""
    return Completes({"value": {"calls": list(ends)}, "problem": ""})


def asking(follows: str, *, calls: Sequence[str] = (), open_: Sequence[str] = (), days: float = 7) -> Completes:
    """Return a look at requests for approvals; a wait ends `days` after the host's first turn."""
    until = (START + timedelta(days=days)).timestamp() if follows == "wait" else 0.0
    return Completes({"follows": follows, "calls": list(calls), "open": list(open_), "until": until, "added": SIZE})


ASKS_IN_PLACE: Final = (MINE, ANTICIPATED, RECALLED, routed(), asks(hands_back=True))
ONE_REQUEST: Final = asking("wait", open_=["mcpr_1"])
DECIDED: Final = Raised("decided_mcpr_1")
RUNS: Final = (asking("call", calls=["mcp_1"]), called("completed"), asking("answer"))
IN_PLACE: Final[Mapping[str, Sequence[HostEvent]]] = {
    "approved_in_place": (*ASKS_IN_PLACE, ONE_REQUEST, DECIDED, *RUNS, *WHOLE),
    "denied_in_place": (*ASKS_IN_PLACE, ONE_REQUEST, DECIDED, asking("answer"), *WHOLE),
    "decided_before_the_wait": (*ASKS_IN_PLACE, DECIDED, ONE_REQUEST, *RUNS, *WHOLE),
    "expired_in_place": (*ASKS_IN_PLACE, ONE_REQUEST, Fires(), Fires(), asking("answer"), *WHOLE),
    "woken_too_early": (*ASKS_IN_PLACE, ONE_REQUEST, DECIDED, ONE_REQUEST, Fires(), *RUNS, *WHOLE),
    "two_decided": (
        *ASKS_IN_PLACE,
        asking("wait", open_=["mcpr_1", "mcpr_2"]),
        Raised("decided_mcpr_2"),
        asking("wait", open_=["mcpr_1"]),
        DECIDED,
        *RUNS,
        *WHOLE,
    ),
    "waited_in_vain": (
        *ASKS_IN_PLACE,
        asking("wait", open_=["mcpr_1"], days=1),
        Fires(),
        asking("end"),
        *ended("completed"),
    ),
    "cancelled_in_place": (*ASKS_IN_PLACE, ONE_REQUEST, Raised("cancelled"), *ended("cancelled")),
    "cancelled_before_it_asked": (*ASKS_IN_PLACE, asking("ended"), *ended("cancelled")),
    "asked_again_in_place": (
        MINE,
        ANTICIPATED,
        RECALLED,
        routed(),
        asks("mcp_1"),
        called("asks"),
        ONE_REQUEST,
        DECIDED,
        *RUNS,
        *WHOLE,
    ),
    "ended_in_an_approved_call": (
        *ASKS_IN_PLACE,
        ONE_REQUEST,
        DECIDED,
        asking("call", calls=["mcp_1"]),
        called("ended"),
        *ended("cancelled"),
    ),
}
"""The paths of turns that wait in place."""

APPROVED: Final = Completes({"mine": True, "calls": ["mcp_1"]})
CAPPED: Final = Completes(
    {
        "result": "handover",
        "code": "",
        "message": "",
        "delay_s": 0.0,
        "capped": {"backend": "small", "written": 512, "tried": 0},
    }
)
ESCALATED: Final = Completes(
    {
        "result": "elsewhere",
        "code": "",
        "message": "The model's answer is empty.",
        "delay_s": 0.0,
        "escalation": {
            "backend": "small",
            "reason": "The model's answer is empty.",
            "result": "done",
            "code": "",
        },
    }
)
IN_LINE: Final = routed(None, delay_s=30.0, reason="small is at its concurrency limit")
ROUND: Final = (routed(), asks("mcp_1"), called("completed"))
MANY_ROUNDS: Final = ROUND * 16
"""The results of these rounds and of the steps before them are more than one history keeps."""

PATHS: Final[Mapping[str, Sequence[HostEvent]]] = {
    **IN_PLACE,
    "answered": (MINE, ANTICIPATED, RECALLED, *WHOLE),
    "asked": (MINE, ANTICIPATED, RECALLED, routed(), asks(hands_back=True), *ended("completed")),
    "approved": (APPROVED, called("completed"), ANTICIPATED, RECALLED, *WHOLE),
    "unknown_and_asked": (MINE, ANTICIPATED, RECALLED, routed(), asks("mcp_1"), called("asks"), *ended("completed")),
    "approved_and_cancelled": (APPROVED, called("ended"), *ended("cancelled")),
    "entered_after_waiting": (WAITING, Fires(), WAITING, Fires(), ENTERED, MINE, ANTICIPATED, RECALLED, *WHOLE),
    "woken_in_line": (WAITING, Raised("turn_ended"), ENTERED, MINE, ANTICIPATED, RECALLED, *WHOLE),
    "woken_while_looking": (
        WAITING,
        Fires(),
        Raised("turn_ended"),
        WAITING,
        ENTERED,
        MINE,
        ANTICIPATED,
        RECALLED,
        *WHOLE,
    ),
    "woken_before_looking": (Raised("turn_ended"), WAITING, ENTERED, MINE, ANTICIPATED, RECALLED, *WHOLE),
    "woken_twice": (
        WAITING,
        Raised("turn_ended"),
        WAITING,
        Raised("turn_ended"),
        ENTERED,
        MINE,
        ANTICIPATED,
        RECALLED,
        *WHOLE,
    ),
    "entered_at_once": (ENTERED, MINE, ANTICIPATED, RECALLED, *WHOLE),
    "cancelled_in_line": (WAITING, Raised("cancelled"), *ended("cancelled")),
    "expired_in_line": (WAITING, Fires(), EXPIRED, *ended("failed")),
    "cut": (MINE, ANTICIPATED, RECALLED, routed(), inferred("done", code="max_output_tokens"), *ended("incomplete")),
    "not_mine": (Completes({"mine": False}),),
    "waited": (MINE, ANTICIPATED, RECALLED, routed(), COLD, Fires(), routed(), COLD, Fires(), *WHOLE),
    "cancelled_while_waiting": (MINE, ANTICIPATED, RECALLED, routed(), COLD, Raised("cancelled"), *ended("cancelled")),
    "cancelled_before_waiting": (MINE, ANTICIPATED, RECALLED, routed(), Raised("cancelled"), COLD, *ended("cancelled")),
    "cancelled_in_answer": (
        MINE,
        ANTICIPATED,
        RECALLED,
        routed(),
        Raised("cancelled"),
        inferred("ended"),
        *ended("cancelled"),
    ),
    "cancelled_with_nobody_free": (
        MINE,
        ANTICIPATED,
        RECALLED,
        routed(None, delay_s=3.0),
        Raised("cancelled"),
        *ended("cancelled"),
    ),
    "elsewhere": (
        MINE,
        ANTICIPATED,
        RECALLED,
        routed(),
        FAILED_OVER,
        routed("large"),
        inferred("done"),
        *ended("completed"),
    ),
    "escalated": (MINE, ANTICIPATED, RECALLED, routed(), ESCALATED, routed("large"), *WHOLE[1:]),
    "escalated_before_calls": (MINE, ANTICIPATED, RECALLED, routed(), ESCALATED, *ROUND, *WHOLE),
    "escalated_in_vain": (MINE, ANTICIPATED, RECALLED, routed(), ESCALATED, routed(None), *ended("completed")),
    "handed_over": (MINE, ANTICIPATED, RECALLED, routed(), inferred("handover"), *WHOLE),
    "capped": (MINE, ANTICIPATED, RECALLED, routed(), CAPPED, routed(), inferred("handover"), *WHOLE),
    "capped_without_room": (MINE, ANTICIPATED, RECALLED, routed(), CAPPED, routed(None), *ended("incomplete")),
    "capped_before_calls": (MINE, ANTICIPATED, RECALLED, routed(), CAPPED, *ROUND, *WHOLE),
    "nobody_free_for_a_while": (MINE, ANTICIPATED, RECALLED, routed(None, delay_s=3.0), Fires(), *WHOLE),
    "woken_for_a_place": (MINE, ANTICIPATED, RECALLED, IN_LINE, Raised("place_1"), *WHOLE),
    "woken_before_it_waits": (MINE, ANTICIPATED, RECALLED, Raised("place_1"), IN_LINE, *WHOLE),
    "woken_for_an_earlier_wait": (
        MINE,
        ANTICIPATED,
        RECALLED,
        IN_LINE,
        Fires(),
        Raised("place_1"),
        IN_LINE,
        Raised("place_1"),
        Raised("place_2"),
        *WHOLE,
    ),
    "cancelled_in_line_for_a_backend": (
        MINE,
        ANTICIPATED,
        RECALLED,
        IN_LINE,
        Raised("cancelled"),
        *ended("cancelled"),
    ),
    "nobody": (MINE, ANTICIPATED, RECALLED, routed(None, reason="no backend takes it"), *ended("failed")),
    "attempt_failed": (MINE, ANTICIPATED, RECALLED, routed(), WRONG, *ended("failed")),
    "step_repeated": (MINE, UNKNOWN_SIZE, ANTICIPATED, Fails("Unavailable: no answer"), RECALLED_ALONE, *WHOLE),
    "called": (MINE, ANTICIPATED, RECALLED, routed(), asks("mcp_1"), called("completed"), *WHOLE),
    "called_side_by_side": (
        MINE,
        ANTICIPATED,
        RECALLED,
        routed(),
        asks("mcp_1", "mcp_2", "mcp_3"),
        called_together("completed", "incomplete", "failed"),
        *WHOLE,
    ),
    "called_side_by_side_and_one_repeated": (
        MINE,
        ANTICIPATED,
        RECALLED,
        routed(),
        asks("mcp_1", "mcp_2", "mcp_3"),
        called_together("completed", None, "completed"),
        Completes({"outcome": "completed", "added": SIZE}),
        *WHOLE,
    ),
    "called_as_tasks": (
        MINE,
        ANTICIPATED,
        RECALLED,
        routed(),
        asks("mcp_1", "mcp_2", "mcp_3", "mcp_4"),
        looked_at(goes_on(20), goes_on(20.5), DONE, goes_on(600)),
        Fires(),
        looked_at(goes_on(30), None),
        Completes(DONE),
        Fires(),
        Completes(DONE),
        Raised("cancelled"),
        Completes({"outcome": "ended", "added": NOTHING}),
        *ended("cancelled"),
    ),
    "called_in_two_rounds": (
        MINE,
        ANTICIPATED,
        RECALLED,
        routed(),
        asks("mcp_1"),
        called("incomplete"),
        routed(),
        asks("mcp_2"),
        called("failed"),
        *WHOLE,
    ),
    "called_none_at_a_limit": (MINE, ANTICIPATED, RECALLED, routed(), asks(), *WHOLE),
    "called_and_handed_back": (
        MINE,
        ANTICIPATED,
        RECALLED,
        routed(),
        asks("mcp_1", hands_back=True),
        called("completed"),
        *ended("completed"),
    ),
    "called_in_many_rounds": (MINE, ANTICIPATED, RECALLED, *MANY_ROUNDS),
    "call_repeated": (
        MINE,
        ANTICIPATED,
        RECALLED,
        routed(),
        asks("mcp_1"),
        Completes(LOST),
        Completes({"outcome": "completed", "added": SIZE}),
        *WHOLE,
    ),
    "cancelled_in_a_call": (
        MINE,
        ANTICIPATED,
        RECALLED,
        routed(),
        asks("mcp_1"),
        Raised("cancelled"),
        called("ended"),
        *ended("cancelled"),
    ),
    "step_failed": (
        MINE,
        ANTICIPATED,
        RECALLED,
        Fails("StepFailed: route failed: KeyError", times=30),
        *ended("failed"),
    ),
}
LONG_PATHS: Final = frozenset({"step_failed", "called_in_many_rounds"})
"""Replaying these after each of their events takes a second: only `make test` does it in every way."""


def host_after(events: Sequence[HostEvent]) -> DurableHost:
    """Return a host after these events; a turn that enters first was admitted to wait."""
    waits = any(each in (WAITING, ENTERED) for each in events[:2])
    in_place = any(events == each for each in IN_PLACE.values())
    more = {"waiting": True} if waits else {"in_place": True} if in_place else {}
    host = DurableHost({**TURN, **more})
    host.start()
    for event in events:
        host.apply(event)
    return host


@cache
def host_of(path: str) -> DurableHost:
    """Return a host after a whole path; callers must not change it."""
    return host_after(PATHS[path])


def recorded(path: str) -> dict[str, Any]:
    host = host_of(path)
    return {"input": dict(host.request), "history": host.history}
