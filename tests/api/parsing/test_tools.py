"""Which choice of tools is read, and which field is named where a tool or a choice can't be offered?"""

import json
from typing import Any

import pytest

from api.parsing.responses_request import request_from_openai
from domain.content.tools import ToolConfig
from domain.errors import Invalid
from tests.api.abilities.test_other_tools import AGENTS, APPLY, CLOSE, HOSTED, Json
from tests.api.abilities.test_tools import WEATHER

WRONG: list[tuple[Json, str]] = [
    ({"tools": [HOSTED[0]], "tool_choice": "required"}, "tool_choice"),
    ({"tools": [HOSTED[0], WEATHER], "tool_choice": {"type": "web_search"}}, "tool_choice.type"),
    ({"tools": [WEATHER], "tool_choice": {"type": "custom", "name": "other"}}, "tool_choice"),
    (
        {
            "tools": [HOSTED[0], WEATHER],
            "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]},
        },
        "tool_choice.tools[0].type",
    ),
    ({"tools": [WEATHER], "metadata": {"unsupported_tools": "drop"}}, "metadata.unsupported_tools"),
    ({"tools": [{"type": "custom"}]}, "tools[0].name"),
    ({"tools": [APPLY | {"format": {"type": "grammar", "syntax": "lark"}}]}, "tools[0].format.definition"),
    ({"tools": [APPLY | {"format": {"type": "xml"}}]}, "tools[0].format.type"),
    ({"tools": [{"type": "namespace"}]}, "tools[0].name"),
    ({"tools": [{"type": "namespace", "name": "a", "tools": ["x"]}]}, "tools[0].tools[0]"),
    ({"tools": [{"type": "namespace", "name": "a", "tools": [AGENTS]}]}, "tools[0].tools[0].type"),
    ({"tools": [AGENTS, {"type": "function", "name": "agents__close"}]}, "tools"),
]


@pytest.mark.parametrize(("change", "field"), WRONG)
def test_a_tool_that_cannot_be_offered_is_rejected_with_its_field(change: Json, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        request_from_openai({"input": "hi", **change})
    assert caught.value.field == field


CHOICES: list[tuple[Any, tuple[str, ...]]] = [
    ({"type": "function", "name": "close"}, ("close",)),
    ({"type": "function", "name": "spawn"}, ("agents__spawn",)),
    ({"type": "function", "name": "close", "namespace": "agents"}, ("agents__close",)),
    (
        {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [
                {"type": "web_search"},
                {"type": "custom", "name": "shout"},
                {"type": "function", "name": "close"},
            ],
        },
        ("agents__shout", "close"),
    ),
]


@pytest.mark.parametrize(("choice", "names"), CHOICES)
def test_a_chosen_tool_is_found_in_its_namespace(choice: Any, names: tuple[str, ...]) -> None:
    request = request_from_openai({"input": "hi", "tools": [AGENTS, CLOSE, HOSTED[0]], "tool_choice": choice})
    assert tuple(each.flat_name for each in request.tool_config.callable_functions) == names


def test_where_only_tools_of_other_services_are_allowed_none_is_called() -> None:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]}
    request = request_from_openai({"input": "hi", "tools": [WEATHER, HOSTED[0]], "tool_choice": choice})
    assert request.tool_config.callable_functions == ()


def test_a_tool_config_round_trips_through_its_document() -> None:
    config = request_from_openai({"input": "hi", "tools": [AGENTS, APPLY, WEATHER]}).tool_config
    assert ToolConfig.from_document(json.loads(json.dumps(config.to_document()))) == config


def test_a_tool_of_an_unknown_namespace_is_not_taken_for_its_namesake() -> None:
    choice = {"type": "function", "name": "close", "namespace": "nowhere"}
    with pytest.raises(Invalid, match="no function named 'nowhere__close'") as caught:
        request_from_openai({"input": "hi", "tools": [CLOSE, AGENTS], "tool_choice": choice})
    assert caught.value.field == "tool_choice"
