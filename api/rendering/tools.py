"""How are tools, tool choice and output format returned to a caller?"""

from typing import Any

from domain.content.tools import FunctionTool, OutputFormat, OutputFormatKind, ToolConfig

type Json = dict[str, Any]


def openai_from_tool_config(config: ToolConfig) -> Json:
    """Return the members of a response object that describe its tools."""
    return {
        "tools": [openai_from_function(each) for each in config.functions],
        "tool_choice": openai_from_choice(config),
        "parallel_tool_calls": config.parallel,
    }


def openai_from_text_options(output_format: OutputFormat, verbosity: str | None) -> Json:
    return {"format": openai_from_format(output_format)} | ({"verbosity": verbosity} if verbosity else {})


def openai_from_function(function: FunctionTool) -> Json:
    return {
        "type": "function",
        "name": function.name,
        "description": function.description,
        "parameters": None if function.parameters is None else dict(function.parameters),
        "strict": function.strict,
    }


def openai_from_choice(config: ToolConfig) -> str | Json:
    if config.single:
        return {"type": "function", "name": config.only[0]}
    if config.only:
        allowed = [{"type": "function", "name": name} for name in config.only]
        return {"type": "allowed_tools", "mode": config.tool_choice.value, "tools": allowed}
    return config.tool_choice.value


def openai_from_format(output_format: OutputFormat) -> Json:
    if output_format.kind is not OutputFormatKind.JSON_SCHEMA:
        return {"type": output_format.kind.value}
    rendered: Json = {"type": "json_schema", "name": output_format.name, "schema": dict(output_format.schema or {})}
    description = {"description": output_format.description} if output_format.description is not None else {}
    return rendered | description | {"strict": bool(output_format.strict)}
