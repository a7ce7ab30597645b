"""Can the fleet serve a turn, how much may the turn read, and what may it cost at worst?"""

from collections.abc import Mapping, Sequence
from copy import replace
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

from api.parsing.field_rules import unsupported
from api.parsing.responses_request import SOURCES, TurnRequest
from api.turns.rejections import TIER, asks_too_much, rejected, with_reasons
from api.turns.token_counter import BackendCounts, TokenCounter
from api.turns.turn_prompt import call_of, prompt_of, tool_tokens
from domain.content.capabilities import Capability
from domain.content.items import ImageInput, Item
from domain.errors import Invalid
from domain.fleet.caller_rules import check_metadata
from domain.fleet.catalog import Backend, Fleet, ImageMode, Model
from domain.identity.owners import Owner
from domain.routing.estimates import AttemptLimits, Demand
from domain.routing.filters import OF_BACKENDS, ModelChoice
from domain.routing.model_choice import RouteProblem, UnknownModel, read_model_choice
from domain.routing.router import route
from domain.sources.catalog import Sources
from domain.tokens.counts import NOT_COUNTED, CountedBy, TokenCount
from domain.tokens.estimates import BYTES_PER_TOKEN, LIKELY_FACTOR, TokenEstimate, tokens_in_request
from domain.tokens.prompt_texts import PromptTexts
from domain.turns.context_window import WindowRoom

SEND_DATA = (
    "The chosen models take images as data: send a data URL, data:image/png;base64,…, or let the operator set "
    'images = "fetch" for a backend in the fleet file.'
)
NO_LOGPROBS = "no backend of the chosen models returns log probabilities (logprobs in the fleet file)"
HOW_COUNTED: Mapping[CountedBy, str] = {
    CountedBy.ESTIMATE: "estimated from its bytes",
    CountedBy.TOKENIZER: "counted with the model's tokenizer",
    CountedBy.BACKEND: "counted by a backend of the model",
}
MARKER_TOKENS = 200
"""The tokens of the markers around private data."""


class TurnCosts(NamedTuple):
    """The worst case of a turn in dollars: at the backend where it is the least, and where it is the most."""

    least: Decimal
    most: Decimal


class Planner(Struct, frozen=True, kw_only=True):
    """Asks the router before a turn starts. It reads the fleet's configuration only: cold and busy are temporary."""

    fleet: Fleet
    default_output_tokens: int
    sources: Sources
    model_required: bool
    attempt_limits: AttemptLimits
    counter: TokenCounter
    backend_counts: BackendCounts

    def check_model_choice(self, request: TurnRequest) -> None:
        """Raise Invalid where the caller names an unknown model, backend or tier."""
        if self.model_required and not request.model_named:
            message = "Missing required parameter: 'model'."
            raise Invalid(message, field="model", code="missing_required_parameter")
        choice = read_model_choice(request.model, request.metadata.get(TIER), self.fleet)
        if isinstance(choice, UnknownModel):
            raise rejected(choice.problem, choice.reason)
        self.check_parameters(request)

    def with_rules(self, owner: Owner, request: TurnRequest) -> TurnRequest:
        """Return the request with the rules for its data and time; raises Invalid where its metadata break them."""
        callers, metadata = self.fleet.callers, request.metadata
        check_metadata(metadata, callers.of(owner.tenant), self.fleet.residencies)
        return replace(request, rules=callers.of_turn(owner.tenant, metadata))

    def check_allowed(self, request: TurnRequest) -> None:
        """Raise Invalid where the caller's choices and the rules for its data contradict each other."""
        if not self.chosen_backends(request):
            self.worst_costs(request, prompt_of(request, ()), ())

    def check_parameters(self, request: TurnRequest) -> None:
        """Raise Invalid for a parameter that no model of the fleet supports, or no backend of the chosen models."""
        abilities = {ability for model in self.fleet.served_models() for ability in model.abilities} - OF_BACKENDS
        deployed = {ability for backend in self.chosen_backends(request) for ability in backend.abilities}
        for path, needed in request.parameters.items():
            if needed not in abilities | deployed:
                raise unsupported(path, why=NO_LOGPROBS if needed is Capability.LOGPROBS else "")

    def check_image_address(self, request: TurnRequest, image: ImageInput) -> None:
        """Raise Invalid where no backend of the chosen models takes images by address."""
        if all(backend.images is ImageMode.DATA for backend in self.chosen_backends(request)):
            message = f"Unsupported value: '{image.path or 'input'}' is an address. {SEND_DATA}"
            raise Invalid(message, field=image.path or "input", code="unsupported_value")

    def sources_of(self, owner: Owner, request: TurnRequest) -> tuple[str, ...]:
        """Return the names of the private data that the turn reads; raises Invalid for a source the owner lacks."""
        try:
            return self.sources.selected(owner, request.metadata.get(SOURCES))
        except KeyError as unknown:
            path = f"metadata.{SOURCES}"
            raise Invalid(f"Invalid '{path}': no source {unknown}.", field=path, code="source_not_found") from None

    def windows(self, request: TurnRequest) -> Mapping[str, int]:
        """Return the largest context window of each chosen model in tokens, the largest one first."""
        windows: dict[str, int] = {}
        for backend in self.chosen_backends(request):
            window = min(self.fleet.models[backend.model].context_tokens, backend.limits.context_tokens)
            windows[backend.model] = max(window, windows.get(backend.model, 0))
        return dict(sorted(windows.items(), key=lambda each: -each[1]))

    def room(self, request: TurnRequest, sources: Sequence[str]) -> WindowRoom:
        """Return the room for instructions, history and input in the largest context window of the chosen models."""
        windows = self.windows(request)
        measure = self.counter.measure(next(iter(windows), ""))
        reserved = self.reserved(request, sources) + tool_tokens(request, measure)
        return WindowRoom(tokens=max(windows.values(), default=0) - reserved, measure=measure)

    def chosen_backends(self, request: TurnRequest) -> Sequence[Backend]:
        """Return the backends that the caller's choice of model, backend and tier, and its residency allow."""
        choice = read_model_choice(request.model, request.metadata.get(TIER), self.fleet)
        return [
            backend
            for backend in self.fleet.backends.values()
            if (isinstance(choice, UnknownModel) or allows(choice, backend, self.fleet.models[backend.model]))
            and may_receive(request, backend)
        ]

    async def prepare_tokenizers(self, request: TurnRequest, items: Sequence[Item], *, needed: bool = False) -> None:
        """Load the tokenizers of the chosen models; wait for them where the estimate might leave something out."""
        if not self.counter.tokenizers:
            return
        windows = self.windows(request)
        has_history = bool(request.previous or request.conversation)
        in_doubt = (
            needed
            or has_history
            or tokens_in_request(prompt_of(request, items).texts).likely
            > min(windows.values(), default=0) - self.output_tokens(request)
        )
        await self.counter.prepare(windows, needed=in_doubt)

    async def count(
        self, request: TurnRequest, items: Sequence[Item], *, reserved: int, always: bool = False
    ) -> Mapping[str, TokenCount]:
        """Return the tokens of a prompt for each chosen model that they can be counted for.

        A backend is asked where the estimate leaves it open whether the prompt fits beside `reserved` tokens, or
        `always`.
        """
        windows, prompt = self.windows(request), prompt_of(request, items)
        counts = dict(await self.counter.count(prompt, windows))
        has_images = any(item.images for item in items)
        if not self.backend_counts.able or has_images:
            return counts
        estimated = tokens_in_request(prompt.texts)
        for model, window in windows.items():
            if model not in counts and (always or is_open(estimated, window - reserved)):
                call = call_of(request, items, self.fleet.models[model])
                found = await self.backend_counts.count(model, call, among=self.chosen_backends(request))
                if found is not None:
                    tokens = TokenEstimate(expected=found, likely=found, ceiling=found)
                    counts[model] = TokenCount(tokens=tokens, counted_by=CountedBy.BACKEND)
        return counts

    def reserved(self, request: TurnRequest, sources: Sequence[str]) -> int:
        """Return the tokens of a window that are kept for the answer and for private data."""
        return self.output_tokens(request) + self.private_tokens(sources)

    def output_tokens(self, request: TurnRequest) -> int:
        limit = request.sampling.max_output_tokens
        return self.default_output_tokens if limit is None else limit

    def private_tokens(self, sources: Sequence[str]) -> int:
        return self.sources.max_tokens(sources) + MARKER_TOKENS if sources else 0

    def worst_costs(
        self,
        request: TurnRequest,
        prompt: PromptTexts,
        sources: Sequence[str],
        counts: Mapping[str, TokenCount] = NOT_COUNTED,
    ) -> TurnCosts:
        """Return the worst case of the turn's cost over all backends that can serve it.

        Raises Invalid, with the reason of every backend, where no backend can ever serve it, and with the code
        context_length_exceeded where only the context windows stand against it. `counts` are the tokens of the prompt
        by model.
        """
        demand = self.demand(request, prompt, sources, counts)
        decision = route(demand, self.fleet, {}, now=0.0)
        if decision.problem is RouteProblem.NONE_FEASIBLE and self.only_too_long(demand):
            raise self.too_long(request, demand, sources)
        if decision.problem is RouteProblem.NONE_FEASIBLE and self.only_asks_too_much(demand):
            raise asks_too_much(request, decision)
        if decision.problem:
            raise rejected(decision.problem, with_reasons(decision))
        costs = [candidate.worst_cost for candidate in decision.candidates]
        return TurnCosts(min(costs), max(costs))

    def only_too_long(self, demand: Demand) -> bool:
        """Return whether a backend could serve the turn if its input were short."""
        short = replace(
            demand,
            input_tokens=0,
            expected_input_tokens=0,
            ceiling_input_tokens=0,
            request_bytes=0,
            counts=NOT_COUNTED,
        )
        return route(short, self.fleet, {}, now=0.0).problem is None

    def only_asks_too_much(self, demand: Demand) -> bool:
        """Return whether a backend could serve the turn without the caller's limit of output."""
        least = replace(demand, output_tokens=min(self.default_output_tokens, demand.output_tokens), is_open_ended=True)
        return route(least, self.fleet, {}, now=0.0).problem is None

    def too_long(self, request: TurnRequest, demand: Demand, sources: Sequence[str]) -> Invalid:
        room = self.room(request, sources)
        left = max(room.tokens + tool_tokens(request, room.measure), 0)
        seen = demand.for_model(next(iter(self.windows(request)), ""))
        about = "about " if seen.counted_by is CountedBy.ESTIMATE else ""
        message = (
            f"The input has {about}{seen.input_tokens:,} tokens ({HOW_COUNTED[seen.counted_by]}), but the windows of "
            f"the chosen models leave at most {left:,} beside {demand.output_tokens:,} tokens of output. Shorten or "
            "compact the input."
        )
        return Invalid(message, field=request.input_field, code="context_length_exceeded")

    def demand(
        self, request: TurnRequest, prompt: PromptTexts, sources: Sequence[str], counts: Mapping[str, TokenCount]
    ) -> Demand:
        tokens = tokens_in_request(prompt.texts) + prompt.left_out
        private = self.private_tokens(sources)
        rows = TokenEstimate(expected=private, likely=private, ceiling=private * BYTES_PER_TOKEN)
        return Demand(
            model=request.model,
            tier=request.metadata.get(TIER),
            input_tokens=tokens.likely + rows.likely,
            expected_input_tokens=tokens.expected + rows.expected,
            ceiling_input_tokens=tokens.ceiling + rows.ceiling,
            counts={model: count + rows for model, count in counts.items()},
            output_tokens=self.output_tokens(request),
            is_open_ended=request.sampling.max_output_tokens is None,
            needs=request.needs,
            residencies=request.rules.residencies,
            time_value=request.rules.time_value,
            attempt_limits=self.attempt_limits,
        )


def allows(choice: ModelChoice, backend: Backend, model: Model) -> bool:
    """Return whether the caller's choice of model, backend and tier allows a backend."""
    pinned = choice.model in {None, model.name} and choice.backend in {None, backend.name}
    return pinned and model.tier >= choice.tier


def may_receive(request: TurnRequest, backend: Backend) -> bool:
    """Return whether the turn's data may be sent to the location of a backend."""
    return not request.rules.residencies or backend.residency in request.rules.residencies


def is_open(estimated: TokenEstimate, room: int) -> bool:
    """Return whether an estimate leaves it open whether a prompt fits: natural text has two thirds of it at least."""
    return estimated.likely > room >= estimated.expected / LIKELY_FACTOR
