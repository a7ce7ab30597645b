"""How much of a tool's result does a model read?"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from domain.content.server_calls import structured
from domain.content.untrusted_text import json_line, whole_text
from domain.tokens.estimates import BYTES_PER_TOKEN, tokens_in

CHARACTERS_PER_TOKEN: Final = BYTES_PER_TOKEN
"""A result has no more characters for each token."""

CUT: Final = "\n[… {left_out} characters were left out here …]\n"


def selected(value: Any, answer: Sequence[str], fields: Sequence[str]) -> Any:
    """Return the part of a JSON answer that the file selects; None where the answer has no such part."""
    for name in answer:
        value = cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
    if not fields:
        return value
    if isinstance(value, list):
        return [with_fields(each, fields) for each in cast("list[Any]", value)]
    return with_fields(value, fields)


def with_fields(value: Any, fields: Sequence[str]) -> Any:
    if not isinstance(value, dict):
        return value
    body = cast("Mapping[str, Any]", value)
    return {name: body[name] for name in fields if name in body}


def result_text(value: Any) -> str:
    """Return a result as text: JSON as JSON in few characters."""
    if isinstance(value, str):
        return whole_text(value)
    return whole_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def bounded(text: str, max_tokens: int) -> str:
    """Return a text of at most so many tokens. A longer one is cut in the middle, and a mark tells so."""
    if fits(text, max_tokens):
        return text
    low, high = 0, min(len(text) // 2, max_tokens * BYTES_PER_TOKEN)
    while low < high:
        kept = (low + high + 1) // 2
        low, high = (kept, high) if fits(cut_to(text, kept), max_tokens) else (low, kept - 1)
    return cut_to(text, low)


def cut_to(text: str, kept: int) -> str:
    """Return the first and the last `kept` characters of a text around the mark."""
    return text[:kept] + CUT.format(left_out=len(text) - 2 * kept) + text[len(text) - kept :]


def fits(text: str, max_tokens: int) -> bool:
    """Tell whether a result fits as a model reads it, where characters may have become escapes."""
    if len(text) > max_tokens * BYTES_PER_TOKEN:
        return False
    size = tokens_in(json_line(structured(text)))
    return size.likely <= max_tokens and size.ceiling <= max_tokens * BYTES_PER_TOKEN
