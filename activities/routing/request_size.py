"""How many tokens and bytes does a model read for a conversation?"""

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


def with_added_tokens(size: wire.SizeWire, added: int) -> wire.SizeWire:
    """Return the size after `added` tokens are added to the conversation."""
    return {
        "expected": size["expected"] + added,
        "likely": size["likely"] + added,
        "ceiling": size["ceiling"] + added,
        "bytes": size["bytes"] + added * BYTES_PER_TOKEN,
    }
