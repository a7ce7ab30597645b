"""Does `auto` use a better model for a turn that seems hard, and say why?"""

from collections.abc import Sequence
from copy import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content.capabilities import Capability
from domain.content.items import Item, ItemKind, Role
from domain.fleet.backend_state import initial_state
from domain.fleet.caller_rules import AutoTiers, Level
from domain.fleet.catalog import Fleet
from domain.routing.difficulty import Difficulty, difficulty, signs_of
from domain.routing.estimates import AttemptLimits, Demand
from domain.routing.route_record import route_to_document
from domain.routing.router import RouteDecision, route
from domain.tokens.sizes import SignsWire
from tests.domain.fleets import backend, fleet

NOTHING: SignsWire = {"code": False, "turns": 0}
HARD = Difficulty(Level.HARD, ("code", "tools", "a format"))
EASY = Difficulty(Level.EASY, ())
LEVELS = list(Level)
NEEDS = st.frozensets(st.sampled_from([Capability.TOOLS, Capability.JSON_SCHEMA, Capability.VISION]))
SIGNS = st.fixed_dictionaries({"code": st.booleans(), "turns": st.integers(0, 20)})


def user(text: str) -> Item:
    return Item(id="item", role=Role.USER, text=text)


TIERS = AutoTiers(1, 2, 3)


def two_models(auto: AutoTiers | None = TIERS) -> Fleet:
    """Return a fleet whose small model is of tier 1 and cheap, and whose large one is of tier 3."""
    found = fleet(backend("cheap", price="gpu"), backend("good", model="large", price="gpu"))
    small, large = found.models["small"], found.models["large"]
    return replace(found, models={"small": replace(small, tier=1), "large": replace(large, tier=3)}, auto=auto)


def routed(found: Fleet, hardness: Difficulty | None, **more: Any) -> RouteDecision:
    limits = AttemptLimits(hold_s=10.0, handover_s=60.0)
    demand = Demand(input_tokens=100, output_tokens=100, attempt_limits=limits, **more)
    states = {name: initial_state(each) for name, each in found.backends.items()}
    return route(demand, found, states, 0.0, hardness=hardness)


@pytest.mark.parametrize(
    ("signs", "tokens", "needs", "level", "reasons"),
    [
        (NOTHING, 2000, [], Level.EASY, ()),
        (NOTHING, 2001, [], Level.MEDIUM, ("an input of more than 2,000 tokens",)),
        (NOTHING, 8001, [], Level.MEDIUM, ("an input of more than 8,000 tokens",)),
        (NOTHING, 10, [Capability.VISION], Level.EASY, ()),
        ({"code": True, "turns": 4}, 10, [Capability.TOOLS], Level.MEDIUM, ("code", "tools")),
        (
            {"code": False, "turns": 5},
            8001,
            [Capability.JSON_SCHEMA],
            Level.HARD,
            ("an input of more than 8,000 tokens", "a format", "5 earlier turns or more"),
        ),
    ],
)
def test_points_add_up_to_a_level_with_its_reasons(
    signs: SignsWire, tokens: int, needs: Sequence[Capability], level: Level, reasons: tuple[str, ...]
) -> None:
    assert difficulty(signs, input_tokens=tokens, needs=needs) == Difficulty(level, reasons)


@given(signs=SIGNS, tokens=st.integers(0, 20_000), needs=NEEDS, more=st.integers(0, 20_000), added=NEEDS)
def test_more_of_anything_never_makes_a_turn_easier(
    signs: Any, tokens: int, needs: frozenset[Capability], more: int, added: frozenset[Capability]
) -> None:
    less = difficulty(signs, input_tokens=tokens, needs=needs)
    grown = difficulty({"code": True, "turns": signs["turns"]}, input_tokens=tokens + more, needs=needs | added)
    assert LEVELS.index(grown.level) >= LEVELS.index(less.level)


@pytest.mark.parametrize(
    "text",
    [
        "Why does this fail?\n```\nprint(1\n```",
        "def main():\n    return 1",
        "fix it: \nint main(void) {\n  return 0;\n}",
        "SELECT * FROM turns",
        "#include <stdio.h>",
    ],
)
def test_code_is_seen_in_the_last_message(text: str) -> None:
    assert signs_of([user("hello"), user(text)]) == {"code": True, "turns": 1}
    assert signs_of([user(text), user("thanks")]) == {"code": False, "turns": 1}


@pytest.mark.parametrize("text", ["Hello!", "I import wine (red); what is the duty?", "", "a class of ten pupils"])
def test_plain_words_are_no_code(text: str) -> None:
    assert signs_of([user(text)]) == {"code": False, "turns": 0}


def test_only_what_the_user_said_counts() -> None:
    output = Item(id="item", kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, text="```x```", call_id="call")
    answer = Item(id="item", role=Role.ASSISTANT, text="```x```")
    assert signs_of([user("hello"), answer, output]) == {"code": False, "turns": 0}
    assert signs_of([]) == NOTHING


def test_a_hard_turn_gets_a_better_model_and_an_easy_one_the_cheapest() -> None:
    found = two_models()
    assert (routed(found, EASY).backend, routed(found, HARD).backend) == ("cheap", "good")
    decision = routed(found, HARD)
    assert [each.reason for each in decision.rejected] == ["the turn needs quality tier 3; small has tier 1"]
    assert route_to_document(decision)["difficulty"] == {
        "level": "hard",
        "reasons": ["code", "tools", "a format"],
        "tier": 3,
        "met": True,
        "reason": "the turn seems hard (code, tools, a format): tier 3 or better",
    }


def test_a_turn_whose_tier_no_backend_can_serve_gets_another_model() -> None:
    decision = routed(two_models(), HARD, excluded={"good": "it failed"})
    assert decision.backend == "cheap"
    assert decision.wanted
    assert decision.wanted.reason.endswith("tier 3 or better; no backend of that tier can serve it now")


@pytest.mark.parametrize("more", [{"model": "small"}, {"model": "auto@cheap"}, {"tier": "economy"}])
def test_what_the_caller_chooses_is_no_question_of_difficulty(more: dict[str, str]) -> None:
    decision = routed(two_models(), HARD, **more)
    assert (decision.backend, decision.wanted) == ("cheap", None)


def test_without_the_table_auto_may_use_any_model() -> None:
    decision = routed(two_models(auto=None), HARD)
    assert (decision.backend, decision.wanted) == ("cheap", None)
    assert "difficulty" not in route_to_document(decision)
