"""Can the fleet take this turn, and what may it cost at worst?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from api.parsing.field_rules import unsupported
from api.parsing.responses_request import SOURCES, TurnRequest
from domain.content.items import Item
from domain.content.schema_tool_calls import texts_of as form_texts
from domain.errors import Invalid
from domain.fleet.catalog import Backend, Fleet, Model
from domain.fleet.token_estimates import tokens_in_request
from domain.identity.owners import Owner
from domain.money.prices import Price
from domain.routing.estimates import Demand
from domain.routing.filters import ModelChoice
from domain.routing.router import RouteDecision, RouteProblem, UnknownModel, read_model_choice, route
from domain.sources.catalog import Sources
from domain.sources.prompt_context import BYTES_A_TOKEN

TIER = "tier"
MARKS_TOKENS = 200
"""What the marks around private data take."""


FIELDS: Mapping[RouteProblem, tuple[str | None, str]] = {
    RouteProblem.MODEL_NOT_FOUND: ("model", "model_not_found"),
    RouteProblem.BACKEND_NOT_FOUND: ("model", "model_not_found"),
    RouteProblem.TIER_UNKNOWN: (f"metadata.{TIER}", "invalid_value"),
    RouteProblem.NONE_FEASIBLE: (None, "no_backend_feasible"),
}
"""Where in the request a problem is, and its code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Asks the router in advance, about the fleet as its files have it: what is cold or busy now may soon not be."""

    fleet: Fleet
    prices: Mapping[str, Price]
    default_output_tokens: int
    sources: Sources = field(default_factory=Sources)
    model_required: bool = False

    def check_model_choice(self, asked: TurnRequest) -> None:
        """Raise Invalid where the caller names a model, backend or tier that is not there."""
        if self.model_required and not asked.model_named:
            message = "Missing required parameter: 'model'."
            raise Invalid(message, field="model", code="missing_required_parameter")
        wish = read_model_choice(asked.model, asked.metadata.get(TIER), self.fleet)
        if isinstance(wish, UnknownModel):
            raise rejected(wish.problem, wish.reason)
        self.check_parameters(asked)

    def check_parameters(self, asked: TurnRequest) -> None:
        """Raise Invalid for a parameter that no model of the fleet takes."""
        abilities = {ability for model in self.fleet.served_models() for ability in model.abilities}
        for path, needs in asked.parameters.items():
            if needs not in abilities:
                raise unsupported(path)

    def sources_of(self, owner: Owner, asked: TurnRequest) -> tuple[str, ...]:
        """Return the names of the private data that the turn reads; raises Invalid for one that is not the owner's."""
        try:
            return self.sources.chosen(owner, asked.metadata.get(SOURCES))
        except KeyError as unknown:
            path = f"metadata.{SOURCES}"
            raise Invalid(f"Invalid '{path}': no source {unknown}.", field=path, code="source_not_found") from None

    def room(self, asked: TurnRequest, sources: Sequence[str]) -> int:
        """Return the tokens for instructions, past and input in the widest window that the wish leaves."""
        wish = read_model_choice(asked.model, asked.metadata.get(TIER), self.fleet)
        models = self.fleet.models
        windows = [
            min(models[backend.model].context_tokens, backend.limits.context_tokens)
            for backend in self.fleet.backends.values()
            if isinstance(wish, UnknownModel) or allows(wish, backend, models[backend.model])
        ]
        return max(windows, default=0) - self.output_tokens(asked) - self.private_tokens(sources) - form_tokens(asked)

    def output_tokens(self, asked: TurnRequest) -> int:
        limit = asked.sampling.max_output_tokens
        return self.default_output_tokens if limit is None else limit

    def private_tokens(self, sources: Sequence[str]) -> int:
        return self.sources.max_tokens(sources) + MARKS_TOKENS if sources else 0

    def worst_cost(self, asked: TurnRequest, conversation: Sequence[Item], sources: Sequence[str] = ()) -> Decimal:
        """Return the most that the turn may cost, in dollars, wherever it goes.

        Raises Invalid, with the reason of every backend, where none can ever take it.
        """
        decision = route(self.demand(asked, conversation, sources), self.fleet, self.prices, {}, now=0.0)
        if decision.problem:
            raise rejected(decision.problem, with_reasons(decision))
        return max(candidate.worst_cost for candidate in decision.candidates)

    def demand(self, asked: TurnRequest, conversation: Sequence[Item], sources: Sequence[str]) -> Demand:
        tokens = tokens_in_request(texts_of(asked, conversation))
        private = self.private_tokens(sources)
        return Demand(
            model=asked.model,
            tier=asked.metadata.get(TIER),
            input_tokens=tokens.likely + private,
            expected_input_tokens=tokens.expected + private,
            ceiling_input_tokens=tokens.ceiling + private * BYTES_A_TOKEN,
            output_tokens=self.output_tokens(asked),
            needs=asked.needs,
        )


def allows(wish: ModelChoice, backend: Backend, model: Model) -> bool:
    """Tell whether what the caller pins leaves a backend."""
    pinned = wish.model in {None, model.name} and wish.backend in {None, backend.name}
    return pinned and model.tier >= wish.tier


def texts_of(asked: TurnRequest, conversation: Sequence[Item]) -> Iterable[str]:
    return (asked.instructions or "", *form_texts(asked.tool_config), *(item.text for item in conversation))


def form_tokens(asked: TurnRequest) -> int:
    texts = form_texts(asked.tool_config)
    return tokens_in_request(texts).likely if texts else 0


def with_reasons(decision: RouteDecision) -> str:
    reasons = "; ".join(f"{refusal.backend}: {refusal.reason}" for refusal in decision.rejected)
    return f"{decision.reason} ({reasons})" if reasons else decision.reason


def rejected(problem: RouteProblem, reason: str) -> Invalid:
    field, code = FIELDS[problem]
    return Invalid(f"{reason[:1].upper()}{reason[1:]}.", field=field, code=code)
