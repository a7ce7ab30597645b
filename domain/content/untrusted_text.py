"""How does untrusted text enter a prompt, so that it can neither give orders nor close its block?

It becomes one line of JSON. Text that resembles a control token (`<|im_end|>`, `[/INST]`) or one of our markers is
written with JSON escapes, which is the same JSON.
"""

import json
import re
from typing import Any, Final

CONTROL: Final = re.compile(r"<|\[(?=/?[A-Z_]+\]|(?i:(?:end of )?(?:private data|tool result|event)))")
"""This matches only inside JSON strings: JSON syntax has no `<`, and no word in capitals between brackets."""

LINE_BREAKS: Final = str.maketrans({"\u0085": " ", "\u2028": " ", "\u2029": " "})


def json_line(value: Any) -> str:
    """Return a value as one line of JSON. Values of types that JSON does not have become strings."""
    text = whole_text(json.dumps(value, ensure_ascii=False, sort_keys=True, default=str))
    return CONTROL.sub(escaped, text.translate(LINE_BREAKS))


def without_control(text: str) -> str:
    """Return a text outside JSON in which no control token is whole: a space splits each of them."""
    return CONTROL.sub(lambda found: f"{found[0]} ", text)


def escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def whole_text(text: str) -> str:
    """Return a text without lone surrogates, which UTF-8 cannot encode."""
    return text.encode(errors="replace").decode()
