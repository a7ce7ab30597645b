"""Which rounds of calls does a plan in the prompt ask for?

    PLAN [[["find", {"number": "A-1"}], ["note", {}]], [["find", {}]]] THEN text
    PLAN FOREVER

A plan is a list of rounds, each a list of calls. A round follows the results of the round before; the text comes last,
or as soon as no function may be called.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from standins.json_values import json_list
from standins.scripted.chat_request import BadRequest, ScriptedRequest
from standins.scripted.schema_values import value_of

PLAN = re.compile(r"\s*(?:(?P<forever>FOREVER)|(?P<rounds>\[.*\])\s+THEN\s(?P<text>.*))\s*", re.DOTALL)
ENOUGH = "enough"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedCall:
    """One call of a function; `arguments` is JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRound:
    """What the model does next: calls, or a text."""

    calls: tuple[ScriptedCall, ...] = ()
    text: str = ""


def next_round(request: ScriptedRequest, plan: str) -> PlannedRound:
    """Return what follows the rounds whose results the request has already."""
    found = PLAN.fullmatch(plan)
    if not found:
        raise BadRequest("PLAN needs a list of rounds, THEN and a text, or FOREVER", "messages")
    if found["forever"]:
        return forever(request)
    rounds = rounds_in(found["rounds"])
    done = rounds_done(request)
    if done >= len(rounds) or not request.functions:
        return PlannedRound(text=found["text"])
    return PlannedRound(calls=rounds[done])


def forever(request: ScriptedRequest) -> PlannedRound:
    if not request.functions:
        return PlannedRound(text=ENOUGH)
    function = request.functions[0]
    arguments = json.dumps(value_of(function.get("parameters", {})))
    return PlannedRound(calls=(ScriptedCall(name=str(function["name"]), arguments=arguments),))


def rounds_in(text: str) -> list[tuple[ScriptedCall, ...]]:
    try:
        rounds: Any = json.loads(text)
        return [tuple(call_in(call) for call in json_list(one) or [[]]) for one in rounds]
    except (ValueError, TypeError, IndexError) as problem:
        raise BadRequest(f"the rounds of PLAN are not lists of calls: {problem}", "messages") from problem


def call_in(value: Any) -> ScriptedCall:
    name, arguments = value
    return ScriptedCall(name=str(name), arguments=json.dumps(arguments))


def rounds_done(request: ScriptedRequest) -> int:
    """Count the groups of results after the last message of the user."""
    roles = [message.role for message in request.messages]
    last = max((at for at, role in enumerate(roles) if role == "user"), default=-1)
    own = roles[last + 1 :]
    return sum(role == "tool" and (not at or own[at - 1] != "tool") for at, role in enumerate(own))
