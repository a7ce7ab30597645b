"""Which bodies try to cost a server much more than they cost their sender?"""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

BOMB_TEXT = "a" * 1_000_000


def bomb(text: str = BOMB_TEXT) -> dict[str, Any]:
    content = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    return {"type": "compaction", "encrypted_content": content}


def repeated(unit: str, size: int) -> str:
    """Return the JSON of an array of about `size` bytes."""
    return f"[{','.join([unit] * max((size - 100) // (len(unit) + 1), 1))}]"


UNITS: Mapping[str, str] = {
    "empty objects": "{}",
    "small objects": '{"a":1}',
    "empty arrays": "[]",
    "numbers": "1000",
    "digits": "9" * 4000,
    "strings": '"ab"',
    "nested arrays": "[" * 60 + "]" * 60,
    "empty messages": '{"role":"user","content":""}',
    "messages of empty parts": '{"role":"user","content":[{"type":"input_text","text":""}]}',
    "small tools": '{"type":"function","name":"a"}',
    "unknown references": '{"id":"msg_a"}',
}


def values(size: int) -> Iterator[tuple[str, str]]:
    """Yield kinds of JSON values of about `size` bytes that take much memory or time to read."""
    for name, unit in UNITS.items():
        yield name, repeated(unit, size)
    yield from few_values(size)
    yield "a wide text", json.dumps("x" * (size - 100) + "\U0001f600", ensure_ascii=False)
    yield "quotes", f'"{'\\"' * ((size - 100) // 2)}"'
    yield "blanks", " " * (size - 100) + "1"
    yield "an open string", '"' + "\\" * (size - 100)


def few_values(size: int) -> Iterator[tuple[str, str]]:
    """Yield the kinds that are tried in every field."""
    names = (f'"{number:x}":1' for number in range((size - 100) // 9))
    yield "names", f"{{{','.join(names)}}}"
    yield "a wide text with an escape", json.dumps("\n" + "x" * (size - 100) + "\U0001f600", ensure_ascii=False)
    yield "escapes", f'"{"\\u0001" * ((size - 100) // 6)}"'


def compactions() -> Iterator[tuple[str, list[Any]]]:
    yield "a bomb", [bomb()]
    yield "20 bombs", [bomb()] * 20
    yield "512 bombs", [bomb()] * 512
    yield "512 small bombs", [bomb("a" * 2000)] * 512
    yield "control characters", [bomb("\x01" * 100)] * 20


FIELDS: Mapping[str, tuple[str, ...]] = {
    "/v1/responses": ("input", "tools", "instructions", "metadata", "unknown"),
    "/v1/responses/compact": ("input", "instructions"),
    "/v1/responses/input_tokens": ("input", "instructions"),
    "/v1/chat/completions": ("messages", "tools", "metadata"),
    "/v1/conversations": ("items", "metadata"),
    "/v1/conversations/{conversation}": ("metadata",),
    "/v1/conversations/{conversation}/items": ("items",),
    "/v1/chat/completions/{completion}": ("metadata",),
    "/v1/batches": ("metadata", "input_file_id"),
    "/v1/responses/{response}/approvals": ("approval_request_id", "reason"),
}
"""The fields of each path that may hold much."""

WELL_TRIED = ("/v1/responses", "/v1/chat/completions", "/v1/conversations/{conversation}/items")
"""The paths where every kind of value is tried in the first field: the others share their parsers."""

REST: Mapping[str, dict[str, Any]] = {
    "/v1/responses": {"model": "auto", "input": "hi", "background": True},
    "/v1/responses/compact": {"model": "auto", "input": "hi"},
    "/v1/responses/input_tokens": {"input": "hi"},
    "/v1/chat/completions": {"model": "auto", "messages": [{"role": "user", "content": "hi"}]},
}


def hostile_bodies(path: str, size: int) -> Iterator[tuple[str, bytes]]:
    """Yield named bodies of at most about `size` bytes for a path."""
    for index, field in enumerate(FIELDS[path]):
        rest = {name: value for name, value in REST.get(path, {}).items() if name != field}
        head = json.dumps(rest)[:-1] + (", " if rest else "")
        for name, value in (values if path in WELL_TRIED and index == 0 else few_values)(size - 200):
            yield f"{field}: {name}", f'{head}"{field}": {value}}}'.encode()
        if field in ("input", "items"):
            for name, items in compactions():
                yield f"{field}: {name}", json.dumps({**rest, field: items}).encode()
    yield "only brackets", b"[" * size
    yield "no UTF-8", b'{"input": "' + b"\xff" * size
    yield "larger than any body", b"{" + b" " * 20_000_000
