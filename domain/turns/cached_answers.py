"""Which turns have the same answer, and which answers can be taken over?

The key of an answer covers its owner and everything that its model read, so that equal keys mean equal requests.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from domain.content.items import Item, ItemKind
from domain.content.tools import ToolConfig
from domain.identity.owners import Owner
from domain.log.token_logprobs import MOST_DOCUMENT_BYTES
from domain.log.transcript import Transcript, kept_items
from domain.turns.response import Sampling

COPIED: Final = frozenset({ItemKind.MESSAGE, ItemKind.REASONING, ItemKind.FUNCTION_CALL})
"""The items of an answer that others can take over. Results of tools were no part of what the key covers."""

LONGEST_ANSWER: Final = 262_144
"""A longer answer, in characters, is not taken over: its log would not fit one commit."""


class ReadByModel(Struct, frozen=True, kw_only=True):
    """Everything that decides a turn's answer.

    `models` are the names of the models that may answer, with the revision that their backends serve. `rows` is the
    private data as text. Items count with their content, not with their ids.
    """

    models: Sequence[tuple[str, str]]
    instructions: str | None
    items: Sequence[Item]
    rows: str
    tools: ToolConfig
    sampling: Sampling
    output_tokens: int

    def key(self, owner: Owner) -> str:
        """Return the key of the answer for an owner: 64 hexadecimal digits."""
        content = {
            "owner": [owner.tenant, owner.subject],
            "models": sorted([list(each) for each in self.models]),
            "instructions": self.instructions,
            "items": [content_of(each) for each in self.items],
            "rows": self.rows,
            "tools": self.tools.to_document(),
            "sampling": self.sampling.to_document(),
            "output_tokens": self.output_tokens,
        }
        text = json.dumps(content, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


def content_of(item: Item) -> Mapping[str, Any]:
    """Return an item without its id; `Item.to_document` has none."""
    return item.to_document()


def can_be_copied(log: Transcript) -> bool:
    """Tell whether another turn can take an answer over: nothing was read after the key was made, and it is short."""
    return bool(own_items(log)) and can_be_followed(log)


def can_be_followed(log: Transcript) -> bool:
    """Tell whether an answer that is being made may still become one that another turn can take over."""
    own = own_items(log)
    size = sum(len(item.text) + len(item.refusal) for item in own)
    is_short = size <= LONGEST_ANSWER and size_of_logprobs(log) <= MOST_DOCUMENT_BYTES
    return all(item.kind in COPIED for item in own) and is_short


def own_items(log: Transcript) -> Sequence[Item]:
    return [item for item in kept_items(log) if item.kind is not ItemKind.MCP_TOOLS]


def size_of_logprobs(log: Transcript) -> int:
    """Return a bound of the bytes that the log probabilities of all tokens take in one document."""
    return sum(token.size for tokens in log.logprobs.values() for token in tokens)
