"""What does a model read of a turn, as a request of its backend, as texts and as tokens?"""

from collections.abc import Sequence

from api.parsing.responses_request import TurnRequest
from clients.backends.port import BackendCall
from domain.content.capabilities import Capability
from domain.content.items import Item
from domain.content.result_images import with_shown_images
from domain.content.schema_tool_calls import is_held_to_output_schema
from domain.content.schema_tool_calls import tool_config_texts as tool_texts
from domain.fleet.catalog import Model
from domain.tokens.counts import TokenMeasure, tokens_in_prompt
from domain.tokens.estimates import tokens_in, tokens_in_request
from domain.tokens.prompt_texts import PromptTexts
from domain.turns.response import Sampling


def call_of(request: TurnRequest, items: Sequence[Item], model: Model) -> BackendCall:
    """Return the call whose prompt a backend of the model counts."""
    by_schema = Capability.TOOLS not in model.capabilities
    can_be_held = by_schema and Capability.JSON_SCHEMA in model.capabilities
    return BackendCall(
        instructions=request.instructions,
        items=with_shown_images(items, sees=Capability.VISION in model.capabilities),
        sampling=Sampling(),
        max_output_tokens=1,
        tools=request.tool_config,
        by_schema=by_schema,
        is_held=can_be_held and is_held_to_output_schema(request.tool_config, items),
    )


def prompt_of(request: TurnRequest, items: Sequence[Item]) -> PromptTexts:
    """Return every text that a model reads: instructions, tools and items."""
    return PromptTexts.of(instructions=request.instructions, items=items, tools=request.tool_config)


def tool_tokens(request: TurnRequest, measure: TokenMeasure) -> int:
    texts = tool_texts(request.tool_config)
    if not texts:
        return 0
    if measure is tokens_in:
        return tokens_in_request(texts).likely
    return tokens_in_prompt(PromptTexts(messages=(), tools=texts), measure).likely
