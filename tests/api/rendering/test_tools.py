"""How are tools, a choice and a format returned to the caller that sent them?"""

from typing import Any

import pytest

from api.parsing.responses_request import request_from_openai
from api.rendering.tools import (
    openai_from_choice,
    openai_from_format,
    openai_from_text_options,
    openai_from_tool_config,
)
from domain.content.tools import FunctionTool, OutputFormat, OutputFormatKind, ToolConfig
from domain.sources.file_search import SEARCH_SERVER

type Json = dict[str, Any]

ADD: Json = {
    "type": "function",
    "name": "add",
    "description": "Adds.",
    "parameters": {"type": "object"},
    "strict": True,
}
BARE: Json = {"type": "function", "name": "bare", "description": None, "parameters": None, "strict": None}
SAY: Json = {"type": "custom", "name": "say", "description": None, "format": {"type": "text"}}
RULES: Json = {"type": "grammar", "syntax": "regex", "definition": "[a-z]+"}
GROUP: Json = {"type": "namespace", "name": "agents", "description": "Agents.", "tools": [SAY, BARE]}


def config(**fields: Any) -> ToolConfig:
    return request_from_openai({"input": "hi", **fields}).tool_config


def test_tools_are_returned_as_they_were_sent() -> None:
    sent = [ADD, SAY | {"name": "rule", "format": RULES}, GROUP, BARE]
    shown = openai_from_tool_config(config(tools=sent, parallel_tool_calls=False))
    assert shown == {"tools": sent, "tool_choice": "auto", "parallel_tool_calls": False}


@pytest.mark.parametrize("choice", ["none", "auto", "required"])
def test_a_word_is_returned_as_a_choice(choice: str) -> None:
    assert openai_from_choice(config(tools=[ADD], tool_choice=choice)) == choice


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "function", "name": "add"},
        {"type": "custom", "name": "say"},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "add"}]},
        {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "function", "name": "add"}, {"type": "custom", "name": "say"}],
        },
    ],
)
def test_a_choice_of_tools_is_returned_as_it_was_sent(choice: Json) -> None:
    assert openai_from_choice(config(tools=[ADD, SAY], tool_choice=choice)) == choice


@pytest.mark.parametrize(
    ("server", "shown"),
    [
        (SEARCH_SERVER, {"type": "file_search"}),
        ("shop", {"type": "mcp", "server_label": "shop", "name": "find"}),
    ],
)
def test_a_chosen_tool_of_a_server_is_named_with_its_server(server: str, shown: Json) -> None:
    tool = FunctionTool(name="find", server=server)
    chosen = ToolConfig(functions=(tool,), allowed_names=(tool.flat_name,), must_call_one=True)
    assert openai_from_choice(chosen) == shown
    assert openai_from_tool_config(chosen)["tools"] == []


@pytest.mark.parametrize(
    "form",
    [
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_schema", "name": "city", "schema": {"type": "object"}, "strict": True},
        {"type": "json_schema", "name": "city", "schema": {}, "description": "A city.", "strict": False},
    ],
)
def test_a_format_is_returned_as_it_was_sent(form: Json) -> None:
    assert openai_from_format(config(text={"format": form}).format) == form


def test_a_verbosity_is_shown_where_it_was_sent() -> None:
    text = OutputFormat(kind=OutputFormatKind.TEXT)
    assert openai_from_text_options(text, None) == {"format": {"type": "text"}}
    assert openai_from_text_options(text, "low") == {"format": {"type": "text"}, "verbosity": "low"}
