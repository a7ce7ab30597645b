"""How many tokens does a prompt have for one model, and how was that counted?

A tokenizer gives the exact tokens of a text. What the model's chat template adds to a prompt is covered by a margin:
`MESSAGE_TOKENS` and `REQUEST_TOKENS`, as in the estimate, and two shares for the definitions of tools.
"""

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self

from msgspec import Struct

from domain.content.items import IMAGE_PLACEHOLDER
from domain.tokens.estimates import TokenEstimate, tokens_in, tokens_in_request
from domain.tokens.prompt_texts import PromptTexts

TOOL_MARGIN: Final = 0.25
"""The share of the tokens of tools and schemas that is added for a window: templates format their JSON differently.

Three functions had 1.13 times the tokens when wrapped as Chat Completions does it (SmolLM2's tokenizer)."""

TOOL_CEILING: Final = 0.75
"""The share that is added where money is reserved: indented JSON had up to 1.67 times the tokens of the same three."""

type TokenMeasure = Callable[[str], TokenEstimate]
"""Returns the tokens of one text, without what a template adds."""


class CountedBy(StrEnum):
    """How tokens were counted: from bytes, with the model's `tokenizer.json`, or by a backend of the model."""

    ESTIMATE = "estimate"
    TOKENIZER = "tokenizer"
    BACKEND = "backend"


class TokenCount(Struct, frozen=True, kw_only=True):
    """The tokens of a whole prompt for one model."""

    tokens: TokenEstimate
    counted_by: CountedBy = CountedBy.ESTIMATE

    def __add__(self, added: TokenEstimate) -> "TokenCount":
        return TokenCount(tokens=self.tokens + added, counted_by=self.counted_by)

    def to_document(self) -> list[Any]:
        return [self.tokens.expected, self.tokens.likely, self.tokens.ceiling, self.counted_by.value]

    @classmethod
    def from_document(cls, body: list[Any]) -> Self:
        expected, likely, ceiling, counted_by = body
        tokens = TokenEstimate(expected=expected, likely=likely, ceiling=ceiling)
        return cls(tokens=tokens, counted_by=CountedBy(counted_by))


NOT_COUNTED: Final[Mapping[str, TokenCount]] = MappingProxyType({})
"""The counts by model where the tokens of no model were counted."""


def exact_measure(count: Callable[[str], int]) -> TokenMeasure:
    """Return a measure with the exact tokens of every text; the text that replaces an image is estimated."""

    def measure(text: str) -> TokenEstimate:
        if text == IMAGE_PLACEHOLDER:
            return tokens_in(text)
        tokens = count(text)
        return TokenEstimate(expected=tokens, likely=tokens, ceiling=tokens)

    return measure


def tokens_in_prompt(prompt: PromptTexts, measure: TokenMeasure) -> TokenEstimate:
    """Return the tokens of a prompt whose texts are measured exactly, with the margin of the template."""
    tools = sum(measure(text).likely for text in prompt.tools if text != IMAGE_PLACEHOLDER)
    margin = math.ceil(tools * TOOL_MARGIN)
    added = TokenEstimate(expected=margin, likely=margin, ceiling=math.ceil(tools * TOOL_CEILING))
    return tokens_in_request(prompt.texts, measure) + added
