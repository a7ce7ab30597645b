"""How do the messages of a round of calls take little room in a history?

Every step of a turn repeats the turn's ids, and most fields of a round's messages have the same value each time. A
packed request has the ids in one text and leaves out what `DEFAULTS` has; its result is packed too. A step that gets a
plain request gives a plain result, so an orchestration of an earlier version never sees a packed one.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from domain import wire
from domain.ids import thread_of

PLAIN: Final = frozenset({None, "1.0", "1.1", "1.2", "1.3", "1.4", "1.5"})
"""The versions of orchestrations whose messages are not packed."""

TURN: Final = ("tenant", "subject", "response", "start", "traceparent")
IDS: Final = "t"
STEP: Final = "p"
SIZE: Final = ("expected", "likely", "ceiling", "bytes")
SPENT: Final = ("units", "seconds")
OWN_DIGITS: Final = 24

CODES: Final[Mapping[str, str]] = {
    wire.ROUTE: "r",
    wire.INFER: "i",
    wire.CALL_TOOL: "c",
    wire.TRY_CALL_TOOL: "t",
    wire.TRY_CALL_TOOLS: "s",
}
NAMES: Final = {code: name for name, code in CODES.items()}

type Message = Mapping[str, Any]

DEFAULTS: Final[Mapping[str, Message]] = {
    wire.ROUTE: {"excluded": {}},
    wire.INFER: {
        "retries": 0,
        "has_alternative": False,
        "failures": {},
        "cold": False,
        "hold_s": None,
        "limit_s": None,
    },
    wire.CALL_TOOL: {},
    wire.TRY_CALL_TOOL: {},
    wire.TRY_CALL_TOOLS: {},
}
RESULT_DEFAULTS: Final[Mapping[str, Message]] = {
    wire.ROUTE: {"has_alternative": False, "delay_s": 0.0, "cold": False, "hold_s": None, "limit_s": None},
    wire.INFER: {"code": "", "message": "", "delay_s": 0.0, "posture": "", "hands_back": False},
    wire.CALL_TOOL: {},
    wire.TRY_CALL_TOOL: {"problem": ""},
    wire.TRY_CALL_TOOLS: {"problem": ""},
}


def packed_request(name: str, request: Any) -> Any:
    """Return the request of a step in its short form; that of another step as it is."""
    words = [request.get(field, "") for field in TURN]
    if name not in DEFAULTS or any(" " in word for word in words):
        return request
    rest = {field: value for field, value in request.items() if field not in TURN}
    return {IDS: " ".join(words), **shorter(rest, DEFAULTS[name], thread_of(request["response"]) or "")}


def plain_request(name: str, request: Any) -> Any:
    """Return a request as a step reads it."""
    if IDS not in request:
        return request
    turn = dict(zip(TURN, request[IDS].split(" "), strict=True))
    if not turn["start"]:
        del turn["start"]
    rest = {field: value for field, value in request.items() if field != IDS}
    thread = thread_of(turn["response"]) or ""
    return {**turn, **DEFAULTS[name], **longer(rest), **whole_ids(rest, thread)}


def packed_result(name: str, request: Any, result: Any) -> Any:
    """Return the result of a step in its short form, where its request had one."""
    if IDS not in request:
        return result
    thread = thread_of(request[IDS].split(" ")[TURN.index("response")]) or ""
    kept = {field: value for field, value in result.items() if field != "reason" or result.get("backend") is None}
    return {STEP: CODES[name], **shorter(kept, RESULT_DEFAULTS[name], thread)}


def plain_result(result: Any) -> Any:
    """Return a result as an orchestration reads it; the ids of its calls stay short, for they go back to steps."""
    if isinstance(result, list):
        return [plain_result(each) for each in cast("list[Any]", result)]
    body = cast("dict[str, Any]", result)
    if not isinstance(result, dict) or STEP not in body:
        return body
    rest = {field: value for field, value in body.items() if field != STEP}
    name = NAMES[body[STEP]]
    reason = {"reason": ""} if name == wire.ROUTE else {}
    return {**reason, **RESULT_DEFAULTS[name], **longer(rest)}


def shorter(message: Message, defaults: Message, thread: str) -> dict[str, Any]:
    kept = {name: value for name, value in message.items() if name not in defaults or value != defaults[name]}
    return {name: short_value(value, thread) for name, value in kept.items()}


def short_value(value: Any, thread: str) -> Any:
    """Return sizes and costs as lists, and ids of the turn's own thread without it."""
    if isinstance(value, dict):
        body = cast("dict[str, Any]", value)
        fields = next((each for each in (SIZE, SPENT) if tuple(body) == each), None)
        return [body[field] for field in fields] if fields else shorter(body, {}, thread)
    if isinstance(value, list):
        return [short_value(each, thread) for each in cast("list[Any]", value)]
    return value.replace(f"_{thread}", "_", 1) if thread and is_member(value, thread) else value


def is_member(value: Any, thread: str) -> bool:
    return isinstance(value, str) and thread_of(value) == thread and f"_{thread}" in value


def longer(message: Message) -> dict[str, Any]:
    fields: Mapping[str, tuple[str, ...]] = {"size": SIZE, "added": SIZE, "spent": SPENT}
    found: dict[str, Any] = {}
    for name, value in message.items():
        if name in fields and isinstance(value, list):
            found[name] = dict(zip(fields[name], cast("list[Any]", value), strict=True))
        elif name == "value":
            found[name] = longer_value(value)
        else:
            found[name] = [longer_value(each) for each in value] if name == "calls" else value
    return found


def longer_value(value: Any) -> Any:
    return longer(cast("dict[str, Any]", value)) if isinstance(value, dict) else value


def whole_ids(message: Message, thread: str) -> dict[str, Any]:
    """Return the ids of calls with the thread that was left out of them."""
    call, calls = message.get("call"), message.get("calls")
    one = {"call": whole_id(call, thread)} if isinstance(call, str) else {}
    several = {"calls": [whole_id(each, thread) for each in cast("list[str]", calls)]} if calls else {}
    return {**one, **several}


def whole_id(call: str, thread: str) -> str:
    prefix, _, own = call.partition("_")
    return f"{prefix}_{thread}{own}" if len(own) == OWN_DIGITS else call
