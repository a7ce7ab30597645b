"""How big is a conversation that a model is to read?"""

from collections.abc import Sequence

from domain import wire
from domain.content.items import Item
from domain.content.schema_tool_calls import tool_config_texts
from domain.fleet.token_estimates import BYTES_PER_TOKEN, tokens_in_request
from domain.turns.response import Response


def size_of(response: Response, items: Sequence[Item]) -> wire.SizeWire:
    texts = [
        response.options.instructions or "",
        *tool_config_texts(response.options.tool_config),
        *(item.text for item in items),
    ]
    tokens = tokens_in_request(texts)
    return {
        "expected": tokens.expected,
        "likely": tokens.likely,
        "ceiling": tokens.ceiling,
        "bytes": sum(len(text.encode()) for text in texts),
    }


def with_added_tokens(size: wire.SizeWire, *, more_tokens: int) -> wire.SizeWire:
    """Return the most that a size may turn out to be, where so many tokens may be added to it."""
    return {
        "expected": size["expected"] + more_tokens,
        "likely": size["likely"] + more_tokens,
        "ceiling": size["ceiling"] + more_tokens,
        "bytes": size["bytes"] + more_tokens * BYTES_PER_TOKEN,
    }
