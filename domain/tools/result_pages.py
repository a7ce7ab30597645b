"""How does a model read a result that was too long for it, page by page?

A tool of our own is offered once a result of the turn was cut. Its pages are parts of the text that the server gave.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import replace
from typing import Any, Final

from domain.content.items import Item
from domain.content.tools import FunctionTool, ToolConfig
from domain.tools.results import CHARACTERS_PER_TOKEN, fits

RESULT_SERVER: Final = "ganglion_results"
"""The label under which pages are read. Labels of the file of the tools have no underscore."""

READ_RESULT: Final = "read_result"
NUMBER: Final = "number"
FROM: Final = "from"
SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        NUMBER: {"type": "integer", "minimum": 1, "description": "Which of the results; the last one if left out"},
        FROM: {"type": "integer", "minimum": 0, "description": "Where the page begins, in characters; 0 if left out"},
    },
    "additionalProperties": False,
}


def cut_results(items: Iterable[Item]) -> Sequence[Item]:
    """Return the calls whose results were cut, in their order."""
    return tuple(item for item in items if item.whole)


def with_result_pages(config: ToolConfig, items: Iterable[Item]) -> ToolConfig:
    """Offer the tool that reads pages, where a result was cut."""
    cut = cut_results(items)
    if not cut:
        return config
    listed = "; ".join(f"{number}: {item.flat_name}, {item.whole} characters" for number, item in enumerate(cut, 1))
    tool = FunctionTool(
        name=READ_RESULT,
        description=f"Reads a page of a result that was cut in the middle ({listed}).",
        parameters=SCHEMA,
        server=RESULT_SERVER,
    )
    allowed = (*config.allowed_names, tool.flat_name) if config.allowed_names else ()
    return replace(config, functions=(*config.functions, tool), allowed_names=allowed)


def longest_page(max_tokens: int) -> int:
    """Return the most characters that a page may have."""
    return max_tokens * CHARACTERS_PER_TOKEN


def page(text: str, *, start: int, whole: int, max_tokens: int) -> str:
    """Return a page of at most so many tokens that begins with `text`, which begins at `start` of the whole result."""
    low, high = min(1, len(text)), len(text)
    while low < high:
        kept = (low + high + 1) // 2
        low, high = (kept, high) if fits(page_text(text[:kept], start, whole), max_tokens) else (low, kept - 1)
    return page_text(text[:low], start, whole)


def page_text(text: str, start: int, whole: int) -> str:
    end = start + len(text)
    following = {} if end >= whole else {"next": end}
    body = {"text": text, "from": start, "to": end, "of": whole, **following}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
