"""What will a new turn read, and what may it cost at worst? Everything that is decided before a turn is recorded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from api.parsing.responses_request import TurnRequest
from api.turns.history import HistoryLoader, ModelInput
from api.turns.input_resolver import InputResolver
from api.turns.planner import Planner, request_texts
from domain.content.items import Item
from domain.content.tools import ToolConfig
from domain.errors import Invalid
from domain.fleet.token_estimates import tokens_in_request
from domain.identity.owners import Owner
from state.turns.responses import TurnStore

TOO_LONG = (
    "The conversation exceeds the context window of every eligible model; use truncation 'auto' or a shorter input."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionPlan:
    """A turn as it will be admitted; nothing is written yet.

    `items` is the turn's own input, `sources` names its private data, `model_input` is what the model reads of its
    history and its input, `worst_cost` is in dollars.
    """

    items: tuple[Item, ...]
    sources: tuple[str, ...]
    model_input: ModelInput
    tool_config: ToolConfig
    worst_cost: Decimal


class AdmissionPlanner:
    """Plans turns: resolves their input, loads as much history as fits, and asks the router for the worst cost."""

    def __init__(self, *, turns: TurnStore, planner: Planner) -> None:
        self.input = InputResolver(turns)
        self.history = HistoryLoader(turns, turns.conversations)
        self.planner = planner

    async def plan(self, owner: Owner, request: TurnRequest, response_id: str) -> AdmissionPlan:
        """Return the plan of a turn; raises Invalid and NotFound where it can't be admitted."""
        sources = self.planner.sources_of(owner, request)
        room = self.planner.room(request, sources)
        items = await self.input.resolve_all(owner, request.input_items, response_id)
        window = await self.history.load(owner, request, items, room=room)
        model_input = window.fit(request, items, room=room)
        if model_input.left_out and not request.truncates:
            raise Invalid(TOO_LONG, field="truncation", code="context_length_exceeded")
        tool_config = replace(request.tool_config, images=model_input.images)
        cost = self.planner.worst_cost(replace(request, tool_config=tool_config), model_input.items, sources)
        return AdmissionPlan(
            items=items,
            sources=sources,
            model_input=model_input,
            tool_config=tool_config,
            worst_cost=cost,
        )

    async def count_tokens(self, owner: Owner, requests: Sequence[TurnRequest]) -> int:
        """Return the tokens that a model would read of several requests together, with all of their histories."""
        texts: list[str] = []
        for request in requests:
            window = await self.history.load(owner, request)
            items = await self.input.resolve_all(owner, request.input_items, "")
            texts += request_texts(request, window.items_with(items, left_out=0))
        return tokens_in_request([text for text in texts if text]).expected
