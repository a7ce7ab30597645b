"""Which backends may serve a request, what is kept of their windows, and why is it refused?"""

from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from api.parsing.responses_request import TurnRequest, request_from_openai
from api.turns.planner import MARKER_TOKENS, Planner, is_open
from api.turns.token_counter import TokenCounter
from api.turns.turn_prompt import prompt_of
from domain.content.items import ImageInput, Item, Role
from domain.content.schema_tool_calls import tool_config_texts
from domain.errors import Invalid
from domain.fleet.caller_rules import CallerRules
from domain.fleet.catalog import Fleet, ImageMode
from domain.sources.catalog import Sources
from domain.tokens.estimates import TokenEstimate, tokens_in_request
from tests.domain.fleets import ATTEMPT_LIMITS, backend, fleet, limits
from tests.fakes.worlds import OWNER

NEAR = backend("near", residency="eu")
WIDE = backend("wide", bounds=limits(context_tokens=4096))
CLOUD = backend("cloud", model="large", price="api", bounds=limits(context_tokens=100_000), residency="us")
FLEET = fleet(NEAR, WIDE, CLOUD)


def planner(known: Fleet = FLEET, *, model_required: bool = False) -> Planner:
    asks_no_backend: Any = None
    return Planner(
        fleet=known,
        default_output_tokens=512,
        sources=Sources(),
        model_required=model_required,
        attempt_limits=ATTEMPT_LIMITS,
        counter=TokenCounter(tokenizers={}),
        backend_counts=asks_no_backend,
    )


def request(**fields: Any) -> TurnRequest:
    return request_from_openai({"input": "hi", **fields})


def names(one: TurnRequest) -> list[str]:
    return [each.name for each in planner().chosen_backends(one)]


@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        ({}, ["near", "wide", "cloud"]),
        ({"model": "auto"}, ["near", "wide", "cloud"]),
        ({"model": "small"}, ["near", "wide"]),
        ({"model": "small@wide"}, ["wide"]),
        ({"metadata": {"tier": "3"}}, ["cloud"]),
        ({"model": "nothing"}, ["near", "wide", "cloud"]),
    ],
)
def test_the_model_and_the_tier_choose_backends(fields: dict[str, Any], chosen: list[str]) -> None:
    assert names(request(**fields)) == chosen


def test_data_goes_only_to_backends_whose_residency_is_allowed() -> None:
    rules = CallerRules(residencies=frozenset({"eu"}))
    assert names(replace(request(), rules=rules)) == ["near"]
    assert names(replace(request(model="large"), rules=rules)) == []


def test_the_largest_window_of_each_model_comes_first() -> None:
    assert list(planner().windows(request()).items()) == [("large", 100_000), ("small", 8192)]


def test_a_window_is_no_larger_than_that_of_the_model() -> None:
    huge = backend("huge", bounds=limits(context_tokens=1_000_000))
    assert planner(fleet(huge)).windows(request()) == {"small": 8192}


@pytest.mark.parametrize(("fields", "reserved"), [({}, 512), ({"max_output_tokens": 20}, 20)])
def test_the_answer_keeps_its_part_of_the_window(fields: dict[str, Any], reserved: int) -> None:
    one = planner()
    assert one.reserved(request(**fields), ()) == reserved
    assert one.reserved(request(**fields), ("crm",)) == reserved + MARKER_TOKENS
    assert one.room(request(model="small", **fields), ()).tokens == 8192 - reserved


def test_the_tools_take_their_part_of_the_window() -> None:
    tool = {"type": "function", "name": "add", "description": "Adds two numbers, and says what they are together."}
    without, with_tools = (planner().room(each, ()).tokens for each in (request(), request(tools=[tool])))
    assert without - with_tools == tokens_in_request(tool_config_texts(request(tools=[tool]).tool_config)).likely > 10


@pytest.mark.parametrize(("model", "field", "code"), [("nothing", "model", "model_not_found")])
def test_an_unknown_model_is_refused(model: str, field: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        planner().check_model_choice(request(model=model))
    assert (caught.value.field, caught.value.code) == (field, code)


def test_a_model_has_to_be_named_where_the_operator_says_so() -> None:
    planner().check_model_choice(request())
    planner(model_required=True).check_model_choice(request(model="auto"))
    with pytest.raises(Invalid) as caught:
        planner(model_required=True).check_model_choice(request())
    assert (caught.value.field, caught.value.code) == ("model", "missing_required_parameter")


def test_an_unknown_source_is_named() -> None:
    assert planner().sources_of(OWNER, request()) == ()
    with pytest.raises(Invalid, match="no source 'crm'") as caught:
        planner().sources_of(OWNER, request(metadata={"sources": "crm"}))
    assert (caught.value.field, caught.value.code) == ("metadata.sources", "source_not_found")


def test_an_address_of_an_image_needs_a_backend_that_takes_it() -> None:
    image = ImageInput(url="https://example.com/a.png", detail="auto", at=0, path="input[0].content[1].image_url")
    fetching = replace(CLOUD, images=ImageMode.FETCH)
    planner(fleet(NEAR, fetching)).check_image_address(request(), image)
    with pytest.raises(Invalid) as caught:
        planner(fleet(NEAR, fetching)).check_image_address(request(model="small"), image)
    assert (caught.value.field, caught.value.code) == ("input[0].content[1].image_url", "unsupported_value")


def test_the_least_and_the_most_cost_are_those_of_single_backends() -> None:
    one = request(max_output_tokens=100)
    both = planner().worst_costs(one, prompt_of(one, ()), ())
    cloud = planner(fleet(CLOUD)).worst_costs(one, prompt_of(one, ()), ())
    near = planner(fleet(NEAR, WIDE)).worst_costs(one, prompt_of(one, ()), ())
    assert (both.least, both.most) == (min(cloud.least, near.least), max(cloud.most, near.most))
    assert Decimal(0) < cloud.least == cloud.most


def test_a_prompt_that_only_the_windows_stand_against_is_too_long() -> None:
    one = request(model="small")
    items = [Item(id="", role=Role.USER, text="word " * 20_000)]
    with pytest.raises(Invalid, match=r"leave at most 7,680 beside 512 tokens of output") as caught:
        planner().worst_costs(one, prompt_of(one, items), ())
    assert (caught.value.field, caught.value.code) == ("input", "context_length_exceeded")


@pytest.mark.parametrize(
    ("likely", "expected", "room", "open_"),
    [(99, 66, 100, False), (100, 66, 100, False), (101, 66, 100, True), (150, 150, 100, True), (300, 300, 100, False)],
)
def test_a_count_is_needed_where_the_estimate_leaves_the_fit_open(
    *, likely: int, expected: int, room: int, open_: bool
) -> None:
    assert is_open(TokenEstimate(expected=expected, likely=likely, ceiling=likely), room) is open_
