"""Which model, backend and quality tier does the caller choose?"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from domain.fleet.catalog import AUTO, MAX_TIER, MIN_TIER, Fleet
from domain.routing.filters import ModelChoice

TIERS: Final = {
    "economy": 1,
    "standard": 2,
    "premium": 3,
    **{str(tier): tier for tier in range(MIN_TIER, MAX_TIER + 1)},
}
"""The lowest quality tier that a caller may request, by name or by number."""


class RouteProblem(StrEnum):
    """Why there is no route. All but the last are mistakes of the caller."""

    MODEL_NOT_FOUND = "model_not_found"
    BACKEND_NOT_FOUND = "backend_not_found"
    TIER_UNKNOWN = "tier_unknown"
    NONE_FEASIBLE = "none_feasible"


class UnknownModel(Struct, frozen=True, kw_only=True):
    """The caller named a model, backend or tier that does not exist."""

    problem: RouteProblem
    reason: str


def read_model_choice(model: str, tier: str | None, fleet: Fleet) -> ModelChoice | UnknownModel:
    """Return the parsed choice of the caller: `auto`, a model or model@backend, and the lowest quality tier."""
    name, _, backend = model.partition("@")
    least = 1 if tier is None else TIERS.get(tier)
    if name != AUTO and name not in (served := [each.name for each in fleet.served_models()]):
        names = ", ".join([AUTO, *served])
        reason = f"the model {name!r} does not exist{suggestion(name, fleet)}; available models: {names}"
        return UnknownModel(problem=RouteProblem.MODEL_NOT_FOUND, reason=reason)
    if "@" in model and not serves(fleet, backend, name):
        reason = f"no backend {backend!r} serves the model {name!r}"
        return UnknownModel(problem=RouteProblem.BACKEND_NOT_FOUND, reason=reason)
    if least is None:
        reason = f"the tier {tier!r} does not exist; available tiers: {', '.join(TIERS)}"
        return UnknownModel(problem=RouteProblem.TIER_UNKNOWN, reason=reason)
    return ModelChoice(model=None if name == AUTO else name, backend=backend or None, tier=least)


def suggestion(model: str, fleet: Fleet) -> str:
    """Return which settings are missing for the backends of a model in the fleet file, in words."""
    variables = sorted({each.variable for each in fleet.unconfigured if each.model == model})
    return f" here (its backends need {', '.join(variables)})" if variables else ""


def serves(fleet: Fleet, backend: str, model: str) -> bool:
    found = fleet.backends.get(backend)
    return found is not None and model in {AUTO, found.model}
