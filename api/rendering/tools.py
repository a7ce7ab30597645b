"""How are tools, tool choice and output format returned to a caller?"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from domain.content.custom_tools import CustomInput
from domain.content.tools import FunctionTool, OutputFormat, OutputFormatKind, ToolConfig
from domain.sources.file_search import SEARCH_SERVER

type Json = dict[str, Any]


def openai_from_tool_config(config: ToolConfig) -> Json:
    """Return the members of a response object that describe its tools."""
    return {
        "tools": [
            *openai_from_functions([each for each in config.functions if not each.server]),
            *(dict(each.request) for each in config.servers),
        ],
        "tool_choice": openai_from_choice(config),
        "parallel_tool_calls": config.parallel,
    }


def openai_from_text_options(output_format: OutputFormat, verbosity: str | None) -> Json:
    return {"format": openai_from_format(output_format)} | ({"verbosity": verbosity} if verbosity else {})


def openai_from_functions(functions: Sequence[FunctionTool]) -> list[Json]:
    """Return the tools as the caller declared them: those of a namespace together."""
    tools: list[Json] = []
    for namespace, group in groupby(functions, key=lambda each: each.namespace):
        members = [openai_from_function(each) for each in group]
        described = {"type": "namespace", "tools": members}
        tools += members if namespace is None else [described | namespace.to_document()]
    return tools


def openai_from_function(function: FunctionTool) -> Json:
    if function.custom:
        return openai_from_custom(function, function.custom)
    return {
        "type": "function",
        "name": function.name,
        "description": function.description,
        "parameters": None if function.parameters is None else dict(function.parameters),
        "strict": function.strict,
    }


def openai_from_custom(function: FunctionTool, custom: CustomInput) -> Json:
    form: Json = {"type": "text"}
    if custom.grammar:
        form = {"type": "grammar", "syntax": custom.syntax, "definition": custom.grammar}
    return {"type": "custom", "name": function.name, "description": function.description, "format": form}


def openai_from_choice(config: ToolConfig) -> str | Json:
    allowed = [chosen(each) for each in config.functions if each.flat_name in config.allowed_names]
    if config.must_call_one:
        return allowed[0]
    if config.allowed_names:
        return {"type": "allowed_tools", "mode": config.tool_choice.value, "tools": allowed}
    return config.tool_choice.value


def chosen(function: FunctionTool) -> Json:
    if function.server == SEARCH_SERVER:
        return {"type": "file_search"}
    if function.server:
        return {"type": "mcp", "server_label": function.server, "name": function.name}
    return {"type": "custom" if function.custom else "function", "name": function.name}


def openai_from_format(output_format: OutputFormat) -> Json:
    if output_format.kind is not OutputFormatKind.JSON_SCHEMA:
        return {"type": output_format.kind.value}
    rendered: Json = {"type": "json_schema", "name": output_format.name, "schema": dict(output_format.schema or {})}
    description = {"description": output_format.description} if output_format.description is not None else {}
    return rendered | description | {"strict": bool(output_format.strict)}
