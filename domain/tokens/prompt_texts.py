"""Which texts does a model read for a request? The size of the request is counted from them."""

from collections.abc import Sequence
from typing import Self

from msgspec import Struct

from domain.content.items import Item, recent_reasoning
from domain.content.schema_tool_calls import tool_config_texts
from domain.content.tools import ToolConfig
from domain.tokens.estimates import TokenEstimate

NO_TOKENS = TokenEstimate()


class PromptTexts(Struct, frozen=True, kw_only=True):
    """The texts of a request: one for each message, and those that offer its tools, its format and its images.

    `left_out` are the tokens of texts that belong to the request and are not kept here.
    """

    messages: tuple[str, ...]
    tools: tuple[str, ...] = ()
    left_out: TokenEstimate = NO_TOKENS

    @property
    def texts(self) -> tuple[str, ...]:
        return (*self.messages, *self.tools)

    @property
    def size(self) -> int:
        """The size in UTF-8 bytes."""
        return sum(len(text.encode(errors="replace")) for text in self.texts)

    @classmethod
    def of(cls, *, instructions: str | None, items: Sequence[Item], tools: ToolConfig) -> Self:
        messages = (instructions or "", *(item.prompt_text for item in items), *recent_reasoning(items))
        return cls(messages=tuple(text for text in messages if text), tools=tool_config_texts(tools))
