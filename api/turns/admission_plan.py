"""What will a new turn read, and what may it cost at worst? Everything that is decided before a turn is recorded."""

import asyncio
from collections.abc import Mapping, Sequence
from copy import replace
from typing import ClassVar

from msgspec import Struct, field

from activities.tools.caller_grants import Granted
from api.approvals.answers import ApprovalAnswer, ApprovalAnswers, check_count
from api.parsing.responses_request import TurnRequest
from api.turns.history import HistoryLoader, ModelInput, measured
from api.turns.input_resolver import InputResolver
from api.turns.planner import Planner, TurnCosts
from api.turns.tool_planner import ToolPlanner, without_known_lists
from api.turns.turn_prompt import prompt_of
from clients.backends.credentials import BearerToken
from domain.content.items import Item
from domain.content.result_images import asked_images
from domain.content.tools import ToolConfig
from domain.errors import Invalid
from domain.identity.owners import Owner
from domain.tokens.counts import NOT_COUNTED, CountedBy, TokenCount
from domain.tokens.estimates import LIKELY_FACTOR, tokens_in_request
from domain.turns.context_window import WindowRoom
from domain.turns.response import ResponseHistory
from domain.values import Discreet
from state.turns.responses import TurnStore

TOO_LONG = (
    "The conversation exceeds the context window of every eligible model; use truncation 'auto' or a shorter input."
)


class AdmissionPlan(Discreet, frozen=True, kw_only=True):
    """A turn as it will be admitted; nothing is written yet.

    `items` is the turn's own input, `sources` names its private data, `model_input` is what the model reads of its
    history and its input, `costs` are the worst cases. `counts` are the tokens of that input by model,
    `answers` are those to requests for an approval. `granted` are tokens of the caller that the turn goes on to use.
    """

    concealed: ClassVar = ("granted",)

    items: tuple[Item, ...]
    sources: tuple[str, ...]
    model_input: ModelInput
    tool_config: ToolConfig
    costs: TurnCosts
    counts: Mapping[str, TokenCount] = field(default_factory=lambda: NOT_COUNTED)
    answers: tuple[ApprovalAnswer, ...] = ()
    granted: Granted = field(default_factory=dict[str, BearerToken])

    def history_of(self, request: TurnRequest) -> ResponseHistory:
        """Return the history of the turn that is planned."""
        return ResponseHistory(
            previous=request.previous,
            conversation=request.conversation,
            truncates=request.truncates,
            reads_before=self.model_input.reads_before,
            left_out=self.model_input.left_out,
            results_out=self.model_input.results_out,
            index=self.model_input.history_index,
            counts=self.counts,
        )


class CountedInput(Struct, frozen=True, kw_only=True):
    """The tokens of an input, how they were counted, and for which model; none where they are estimated."""

    tokens: int
    counted_by: CountedBy = CountedBy.ESTIMATE
    model: str = ""


class AdmissionPlanner:
    """Plans turns: resolves their input, loads as much history as fits, and asks the router for the worst cost."""

    def __init__(self, *, turns: TurnStore, planner: Planner, tools: ToolPlanner) -> None:
        self.input = InputResolver(turns)
        self.history = HistoryLoader(turns, turns.conversations)
        self.planner = planner
        self.tools = tools
        self.answers = ApprovalAnswers(turns, tools.servers)

    async def plan(self, owner: Owner, request: TurnRequest, response_id: str) -> AdmissionPlan:
        """Return the plan of a turn; raises Invalid and NotFound where it can't be admitted.

        Other requests run between its parts, because each of them takes a while where there are thousands of items.
        """
        request = self.planner.with_rules(owner, request)
        self.planner.check_allowed(request)
        offer = await self.tools.offered(owner, request)
        request = replace(request, tool_config=offer.config)
        sources = self.tools.read_beforehand(request.tool_config, self.planner.sources_of(owner, request))
        items = await self.input.resolve_all(owner, request.input_items, response_id)
        await self.planner.prepare_tokenizers(request, items)
        model_input = await self.read_history(owner, request, items, sources)
        await asyncio.sleep(0)
        if (model_input.left_out or model_input.results_out) and not request.truncates:
            raise Invalid(TOO_LONG, field="truncation", code="context_length_exceeded")
        addressed = [image for item in items for image in item.images if not image.is_data]
        if addressed:
            self.planner.check_image_address(request, addressed[0])
        tool_config = replace(request.tool_config, images=model_input.images, image_addresses=len(addressed))
        tool_config = without_known_lists(tool_config, model_input.items)
        has_blob = self.planner.sources.has_blob(sources)
        tool_config = self.tools.with_taint(tool_config, model_input, has_blob=has_blob)
        answers = await self.approval_answers(owner, request, model_input.items, items)
        request = replace(request, tool_config=tool_config)
        prompt = prompt_of(request, model_input.items)
        counts = await self.planner.count(
            request, model_input.items, reserved=self.planner.reserved(request, sources), always=model_input.is_wide
        )
        costs = self.planner.worst_costs(request, prompt, sources, counts)
        return AdmissionPlan(
            items=items,
            sources=sources,
            model_input=model_input,
            tool_config=tool_config,
            costs=costs,
            counts=counts,
            answers=answers,
            granted=offer.granted,
        )

    async def approval_answers(
        self, owner: Owner, request: TurnRequest, read: Sequence[Item], items: Sequence[Item]
    ) -> tuple[ApprovalAnswer, ...]:
        """Return the answers of a turn to requests for an approval. A turn in line is checked when it may begin."""
        if not request.pairs_calls:
            return ()
        config, field = request.tool_config, request.input_field
        answers = await self.answers.checked(owner, config, new=items, read=read, field=field)
        check_count(answers, most=self.tools.most_calls(config), field=field)
        return answers

    async def read_history(
        self, owner: Owner, request: TurnRequest, items: tuple[Item, ...], sources: tuple[str, ...]
    ) -> ModelInput:
        """Return as much of the history as fits beside the items.

        Where the estimate leaves turns out, a backend counts how much more fits.
        """
        room = self.planner.room(request, sources)
        kept = self.tools.room_for_results(request.tool_config, room=room.tokens) if request.truncates else 0
        room = replace(room, tokens=room.tokens - kept)
        model_input = await self.fit_history(owner, request, items, room)
        is_cut = model_input.left_out or model_input.results_out
        if not is_cut or room.is_counted or not self.planner.backend_counts.able:
            return model_input
        wider = replace(room, tokens=int(room.tokens * LIKELY_FACTOR))
        wide = await self.fit_history(owner, request, items, wider)
        reserved = self.planner.reserved(request, sources)
        counts = await self.planner.count(request, wide.items, reserved=reserved, always=True)
        model, window = next(iter(self.planner.windows(request).items()))
        fits = model in counts and counts[model].tokens.likely <= window - reserved - kept
        return replace(wide, is_wide=True) if fits else model_input

    async def fit_history(
        self, owner: Owner, request: TurnRequest, items: tuple[Item, ...], room: WindowRoom
    ) -> ModelInput:
        await asyncio.sleep(0)
        window = await self.history.load(owner, request, items, room=room)
        if request.pairs_calls:
            window.check_calls(request, items)
        await asyncio.sleep(0)
        return await measured(room, lambda: window.fit(request, items, room=room))

    async def count_tokens(self, owner: Owner, requests: Sequence[TurnRequest]) -> CountedInput:
        """Return the tokens that a model would read of several requests together, with all of their histories.

        They are those of the chosen model with the largest context window.
        """
        read: list[Item] = []
        offered = [await self.tools.offered(owner, each) for each in requests]
        for asked, offer in zip(requests, offered, strict=True):
            request = replace(asked, tool_config=offer.config)
            window = await self.history.load(owner, request)
            items = await self.input.resolve_all(owner, request.input_items, "")
            read[:0] = window.items_with(items, left_out=0)
        first = self.planner.with_rules(owner, requests[0])
        config = replace(offered[0].config, images=asked_images(read))
        request = replace(first, tool_config=config)
        await self.planner.prepare_tokenizers(request, (), needed=True)
        counts = await self.planner.count(request, read, reserved=0, always=True)
        model = next(iter(self.planner.windows(request)), "")
        if model in counts:
            return CountedInput(tokens=counts[model].tokens.expected, counted_by=counts[model].counted_by, model=model)
        return CountedInput(tokens=tokens_in_request(prompt_of(request, read).texts).expected)
