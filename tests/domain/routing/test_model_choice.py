"""Which quality tier has each name?"""

import pytest

from domain.routing.model_choice import ModelChoice, RouteProblem, UnknownModel, read_model_choice
from tests.domain.fleets import backend, fleet


@pytest.mark.parametrize(
    ("name", "tier"),
    [(None, 1), ("economy", 1), ("standard", 2), ("premium", 3), ("1", 1), ("2", 2), ("3", 3)],
)
def test_a_tier_has_a_name_and_a_number(name: str | None, tier: int) -> None:
    found = read_model_choice("auto", name, fleet(backend("main")))
    assert isinstance(found, ModelChoice)
    assert found.tier == tier


@pytest.mark.parametrize("name", ["0", "gold", "", "-1"])
def test_an_unknown_tier_is_a_mistake_of_the_caller(name: str) -> None:
    found = read_model_choice("auto", name, fleet(backend("main")))
    assert isinstance(found, UnknownModel)
    assert found.problem is RouteProblem.TIER_UNKNOWN
