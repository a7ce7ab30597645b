"""Can the fleet serve a turn, how much may the turn read, and what may it cost at worst?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from api.parsing.field_rules import unsupported
from api.parsing.responses_request import SOURCES, TurnRequest
from domain.content.items import Item
from domain.content.schema_tool_calls import tool_config_texts as tool_texts
from domain.errors import Invalid
from domain.fleet.catalog import Backend, Fleet, Model
from domain.fleet.token_estimates import BYTES_PER_TOKEN, tokens_in_request
from domain.identity.owners import Owner
from domain.routing.estimates import AttemptLimits, Demand
from domain.routing.filters import ModelChoice
from domain.routing.model_choice import RouteProblem, UnknownModel, read_model_choice
from domain.routing.router import RouteDecision, route
from domain.sources.catalog import Sources

TIER = "tier"
MARKER_TOKENS = 200
"""The tokens of the markers around private data."""


FIELDS: Mapping[RouteProblem, tuple[str | None, str]] = {
    RouteProblem.MODEL_NOT_FOUND: ("model", "model_not_found"),
    RouteProblem.BACKEND_NOT_FOUND: ("model", "model_not_found"),
    RouteProblem.TIER_UNKNOWN: (f"metadata.{TIER}", "invalid_value"),
    RouteProblem.NONE_FEASIBLE: (None, "no_backend_feasible"),
}
"""The field of the request that a routing problem concerns, and the error code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Asks the router before a turn starts. It reads the fleet's configuration only: cold and busy are temporary."""

    fleet: Fleet
    default_output_tokens: int
    sources: Sources
    model_required: bool
    attempt_limits: AttemptLimits

    def check_model_choice(self, request: TurnRequest) -> None:
        """Raise Invalid where the caller names an unknown model, backend or tier."""
        if self.model_required and not request.model_named:
            message = "Missing required parameter: 'model'."
            raise Invalid(message, field="model", code="missing_required_parameter")
        choice = read_model_choice(request.model, request.metadata.get(TIER), self.fleet)
        if isinstance(choice, UnknownModel):
            raise rejected(choice.problem, choice.reason)
        self.check_parameters(request)

    def check_parameters(self, request: TurnRequest) -> None:
        """Raise Invalid for a parameter that no model of the fleet supports."""
        abilities = {ability for model in self.fleet.served_models() for ability in model.abilities}
        for path, needed in request.parameters.items():
            if needed not in abilities:
                raise unsupported(path)

    def sources_of(self, owner: Owner, request: TurnRequest) -> tuple[str, ...]:
        """Return the names of the private data that the turn reads; raises Invalid for a source the owner lacks."""
        try:
            return self.sources.selected(owner, request.metadata.get(SOURCES))
        except KeyError as unknown:
            path = f"metadata.{SOURCES}"
            raise Invalid(f"Invalid '{path}': no source {unknown}.", field=path, code="source_not_found") from None

    def room(self, request: TurnRequest, sources: Sequence[str]) -> int:
        """Return the tokens for instructions, history and input in the largest context window of the chosen models."""
        choice = read_model_choice(request.model, request.metadata.get(TIER), self.fleet)
        models = self.fleet.models
        windows = [
            min(models[backend.model].context_tokens, backend.limits.context_tokens)
            for backend in self.fleet.backends.values()
            if isinstance(choice, UnknownModel) or allows(choice, backend, models[backend.model])
        ]
        reserved = self.output_tokens(request) + self.private_tokens(sources) + tool_tokens(request)
        return max(windows, default=0) - reserved

    def output_tokens(self, request: TurnRequest) -> int:
        limit = request.sampling.max_output_tokens
        return self.default_output_tokens if limit is None else limit

    def private_tokens(self, sources: Sequence[str]) -> int:
        return self.sources.max_tokens(sources) + MARKER_TOKENS if sources else 0

    def worst_cost(self, request: TurnRequest, items: Sequence[Item], sources: Sequence[str]) -> Decimal:
        """Return the highest cost of the turn in dollars, over all backends that can serve it.

        Raises Invalid, with the reason of every backend, where no backend can ever serve it.
        """
        decision = route(self.demand(request, items, sources), self.fleet, {}, now=0.0)
        if decision.problem:
            raise rejected(decision.problem, with_reasons(decision))
        return max(candidate.worst_cost for candidate in decision.candidates)

    def demand(self, request: TurnRequest, items: Sequence[Item], sources: Sequence[str]) -> Demand:
        tokens = tokens_in_request(request_texts(request, items))
        private = self.private_tokens(sources)
        return Demand(
            model=request.model,
            tier=request.metadata.get(TIER),
            input_tokens=tokens.likely + private,
            expected_input_tokens=tokens.expected + private,
            ceiling_input_tokens=tokens.ceiling + private * BYTES_PER_TOKEN,
            output_tokens=self.output_tokens(request),
            needs=request.needs,
            attempt_limits=self.attempt_limits,
        )


def allows(choice: ModelChoice, backend: Backend, model: Model) -> bool:
    """Return whether the caller's choice of model, backend and tier allows a backend."""
    pinned = choice.model in {None, model.name} and choice.backend in {None, backend.name}
    return pinned and model.tier >= choice.tier


def request_texts(request: TurnRequest, items: Sequence[Item]) -> Iterable[str]:
    """Return every text that a model reads: instructions, tools and items."""
    return (request.instructions or "", *tool_texts(request.tool_config), *(item.text for item in items))


def tool_tokens(request: TurnRequest) -> int:
    texts = tool_texts(request.tool_config)
    return tokens_in_request(texts).likely if texts else 0


def with_reasons(decision: RouteDecision) -> str:
    reasons = "; ".join(f"{rejection.backend}: {rejection.reason}" for rejection in decision.rejected)
    return f"{decision.reason} ({reasons})" if reasons else decision.reason


def rejected(problem: RouteProblem, reason: str) -> Invalid:
    field, code = FIELDS[problem]
    return Invalid(f"{reason[:1].upper()}{reason[1:]}.", field=field, code=code)
