"""How does a summary cover the items that no turn can continue from?

Other services' items, calls without a result and results without a call are described to the model as text.
"""

import json
from collections.abc import Mapping
from typing import Any, cast

from api.parsing.input_items import REFERENCE, SHAPES, kind_of

DESCRIBED_CHARACTERS = 4000
CALLS: Mapping[str, str] = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
}
"""The type of each call, and the type of its result."""

type Json = Mapping[str, Any]


def described_items(body: Json) -> dict[str, Any]:
    """Return the body of a compaction, with a text for each item that can't be read as it is."""
    items = body.get("input")
    if not isinstance(items, list):
        return dict(body)
    known = set(SHAPES) | {REFERENCE}
    calls, results = pairs_in(cast("list[Any]", items))
    history = bool(body.get("previous_response_id"))

    def readable(item: Any) -> Any:
        if not isinstance(item, dict):
            return item
        fields = cast("dict[str, Any]", item)
        kind, call_id = kind_of(fields), fields.get("call_id")
        if not isinstance(kind, str) or not isinstance(call_id, str | None):
            return fields
        is_open = kind in CALLS and call_id not in results
        is_alone = kind in CALLS.values() and call_id not in calls and not history
        return described(kind, fields) if kind not in known or is_open or is_alone else fields

    return {**body, "input": [readable(each) for each in cast("list[Any]", items)]}


def pairs_in(items: list[Any]) -> tuple[set[str], set[str]]:
    """Return the call ids of all calls, and those of all results."""
    calls, results = set[str](), set[str]()
    for item in items:
        fields = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        kind, call_id = fields.get("type"), fields.get("call_id")
        if isinstance(kind, str) and isinstance(call_id, str):
            (calls if kind in CALLS else results).add(call_id)
    return calls, results


def described(kind: str, item: Json) -> dict[str, Any]:
    """Return an item as a message of the assistant, whose length is bounded."""
    content = {name: value for name, value in item.items() if name not in ("id", "type", "status")}
    text = json.dumps(content, ensure_ascii=False)
    return {"role": "assistant", "content": f"[{kind}] {text[:DESCRIBED_CHARACTERS]}"}
