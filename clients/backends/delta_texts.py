"""Which texts of the model does a delta of Chat Completions contain?

The specification knows `content` and `refusal`. Servers of reasoning models add `reasoning_content` or `reasoning`;
some send the same text under both names. Some send `content` as a list of parts.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from clients.backends.port import Channel
from clients.backends.tool_calls import text_of

REASONING_FIELDS: Final = ("reasoning_content", "reasoning")

PART_TEXTS: Final[Mapping[str, tuple[Channel, str]]] = {
    "text": (Channel.ANSWER, "text"),
    "output_text": (Channel.ANSWER, "text"),
    "refusal": (Channel.REFUSAL, "refusal"),
    "thinking": (Channel.REASONING, "thinking"),
    "reasoning": (Channel.REASONING, "text"),
}
"""The channel of each type of part, and the field that has its text."""


def delta_texts(delta: Mapping[str, Any]) -> Iterator[tuple[Channel, str]]:
    """Yield the texts in their order, reasoning first. Raises TypeError where one is malformed."""
    reasoning = [text_of(delta, name) for name in REASONING_FIELDS]
    yield Channel.REASONING, next(filter(None, reasoning), "")
    content = delta.get("content")
    if isinstance(content, list):
        yield from part_texts(cast("list[Any]", content))
    else:
        yield Channel.ANSWER, text_of(delta, "content")
    yield Channel.REFUSAL, text_of(delta, "refusal")


def part_texts(parts: Sequence[Any]) -> Iterator[tuple[Channel, str]]:
    """Yield the texts of a list of parts; parts of other types have no text of the model."""
    for part in parts:
        channel, name = PART_TEXTS.get(text_of(part, "type"), (Channel.ANSWER, ""))
        inner = part.get(name)
        if isinstance(inner, list):
            yield channel, "".join(text_of(each, "text") for each in cast("list[Any]", inner))
        else:
            yield channel, text_of(part, name)
