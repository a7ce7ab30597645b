"""Which malformed bodies may a caller send? They are made from valid bodies and from random JSON."""

import json
from collections.abc import Mapping
from copy import deepcopy
from random import Random
from typing import Any, cast

type Json = dict[str, Any]
type Path = tuple[str | int, ...]

MESSAGE: Json = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
PARAMETERS: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CALL: Json = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
OUTPUT: Json = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
RESPONSE: Json = {
    "model": "auto",
    "input": [MESSAGE, CALL, OUTPUT, {"type": "reasoning", "summary": []}, {"type": "item_reference", "id": "msg_1"}],
    "instructions": "be brief",
    "tools": [{"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
    "parallel_tool_calls": False,
    "text": {"format": {"type": "json_schema", "name": "x", "schema": PARAMETERS}, "verbosity": "medium"},
    "reasoning": {"effort": "none", "summary": "auto"},
    "metadata": {"deadline_ms": "60000", "tier": "economy", "sources": "orders"},
    "max_output_tokens": 16,
    "temperature": 0.5,
    "top_p": 0.9,
    "truncation": "auto",
    "store": True,
    "stream": False,
    "background": False,
    "include": [],
    "previous_response_id": None,
    "conversation": None,
}
PLAIN: Json = {"model": "auto", "input": "hi", "max_output_tokens": 16, "temperature": 1}
CHAT: Json = {
    "model": "auto",
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {}}]},
        {"role": "tool", "tool_call_id": "c", "content": "sunny"},
    ],
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}],
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "response_format": {"type": "json_object"},
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "max_completion_tokens": 16,
    "max_tokens": None,
    "stop": None,
    "n": 1,
    "logit_bias": {"1": 0},
    "moderation": {"model": "m", "policy": {"input": {"mode": "score"}}},
    "store": True,
    "stream": True,
    "metadata": {"a": "b"},
}
SERVER: Json = {
    "type": "mcp",
    "server_label": "shop",
    "allowed_tools": {"read_only": True},
    "require_approval": "always",
}
SERVED: Json = {"server_label": "shop", "name": "find", "arguments": "{}"}
SERVER_ITEMS: list[Json] = [
    {"type": "mcp_list_tools", "server_label": "shop", "tools": [{"name": "find", "input_schema": {}}], "error": "x"},
    {"type": "mcp_call", **SERVED, "output": "1", "error": {"type": "http_error", "code": 404, "message": "x"}},
    {"type": "mcp_approval_request", "id": "mcpr_1", **SERVED},
    {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": False, "reason": "no"},
    {"type": "file_search_call", "queries": ["x"], "status": "completed", "results": [{"file_id": "f", "text": "x"}]},
]
AGENT: Json = {**PLAIN, "input": [*SERVER_ITEMS[:2], SERVER_ITEMS[4], MESSAGE], "max_tool_calls": 3}
APPROVED: Json = {**PLAIN, "input": SERVER_ITEMS, "tools": [SERVER, {"type": "file_search", "vector_store_ids": ["a"]}]}
GREETING: Json = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}

VALID_BODIES: Mapping[str, tuple[Json, ...]] = {
    "/v1/responses": (RESPONSE, PLAIN, AGENT, APPROVED),
    "/v1/responses/compact": ({"model": "auto", "input": [MESSAGE], "instructions": "x"}, PLAIN),
    "/v1/responses/input_tokens": (RESPONSE, PLAIN),
    "/v1/chat/completions": (CHAT, GREETING),
    "/v1/conversations": ({"metadata": {"a": "b"}, "items": [MESSAGE, CALL, *SERVER_ITEMS]}, {}),
    "/v1/conversations/{conversation}": ({"metadata": {"a": "b"}},),
    "/v1/conversations/{conversation}/items": ({"items": [MESSAGE, CALL, OUTPUT]},),
}
"""Valid bodies for each path."""

JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**200, -(2**64), 0.5, -1e308, 5e-324),
    *("", " ", "auto", "none", "null", "0", "x" * 600, "é\u0000\u202e", "\U0001f600" * 90, "resp_1", "../x", "%00"),
    *("resp_" + "a" * 48, "conv_" + "b" * 24, "msg_" + "c" * 48, "model@nobody", "model@main"),
    *([], {}, [[]], [{}], [None], {"": None}, {"type": "x"}, {"id": "conv_" + "b" * 24}, ["a"] * 600),
    *({str(number): "x" for number in range(40)}, {"a": {"b": {"c": []}}}, {"type": "function", "name": "weather"}),
)
PIECES = (b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\xff", b"\x00", b"\\ud800", b"NaN", b"1e999", b"//")


def random_body(random: Random, valid: tuple[Json, ...]) -> bytes:
    """Return a valid body with a few mutations, of its JSON or of its bytes, or any JSON."""
    if random.random() < 0.1:
        return json.dumps(random_json(random, 4)).encode()
    body: Any = json.loads(json.dumps(random.choice(valid)))
    for _ in range(random.randrange(4)):
        body = mutated(random, body)
    encoded = json.dumps(body, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    return mutated_bytes(random, encoded) if random.random() < 0.15 else encoded


def mutated(random: Random, body: Any) -> Any:
    """Replace, delete or duplicate the value in one place."""
    path = random.choice(list(paths_in(body)))
    if not path:
        return random.choice((body, body, body, junk(random)))
    parent: Any = body
    for step in path[:-1]:
        parent = parent[step]
    match random.randrange(5):
        case 0:
            del parent[path[-1]]
        case 1 if isinstance(path[-1], int):
            parent.append(parent[path[-1]])
        case 1:
            parent[random.choice(("extra", "type", "role", "__class__"))] = junk(random)
        case 2:
            parent[path[-1]] = random_json(random, 3)
        case _:
            parent[path[-1]] = junk(random)
    return body


def junk(random: Random) -> Any:
    return deepcopy(random.choice(JUNK))


def paths_in(value: Any, path: Path = ()) -> list[Path]:
    found = [path]
    if isinstance(value, dict):
        for name, inner in cast("Json", value).items():
            found += paths_in(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[Any]", value)[:8]):
            found += paths_in(inner, (*path, index))
    return found


def random_json(random: Random, depth: int) -> Any:
    if depth == 0 or random.random() < 0.4:
        return junk(random)
    if random.random() < 0.5:
        return [random_json(random, depth - 1) for _ in range(random.randrange(4))]
    names = ("type", "role", "content", "text", "id", "input", "name", "x")
    return {random.choice(names): random_json(random, depth - 1) for _ in range(random.randrange(4))}


def mutated_bytes(random: Random, encoded: bytes) -> bytes:
    at = random.randrange(len(encoded) + 1)
    match random.randrange(3):
        case 0:
            return encoded[:at]
        case 1:
            return encoded[:at] + random.choice(PIECES) + encoded[at:]
        case _:
            return encoded[:at] + random.choice(PIECES) + encoded[at + 1 :]
