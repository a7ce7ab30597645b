"""How do the functions and the form of answer that were asked for look to a caller?"""

from typing import Any

from domain.content.tools import FunctionTool, OutputFormat, OutputFormatKind, ToolConfig

type Json = dict[str, Any]


def shown_form(form: ToolConfig) -> Json:
    """Return the members of a response object that tell its form."""
    return {
        "tools": [shown_function(each) for each in form.functions],
        "tool_choice": shown_choice(form),
        "parallel_tool_calls": form.parallel,
    }


def shown_text(wanted: OutputFormat, verbosity: str | None) -> Json:
    return {"format": shown_format(wanted)} | ({"verbosity": verbosity} if verbosity else {})


def shown_function(function: FunctionTool) -> Json:
    return {
        "type": "function",
        "name": function.name,
        "description": function.description,
        "parameters": None if function.parameters is None else dict(function.parameters),
        "strict": function.strict,
    }


def shown_choice(form: ToolConfig) -> str | Json:
    if form.single:
        return {"type": "function", "name": form.only[0]}
    if form.only:
        allowed = [{"type": "function", "name": name} for name in form.only]
        return {"type": "allowed_tools", "mode": form.tool_choice.value, "tools": allowed}
    return form.tool_choice.value


def shown_format(wanted: OutputFormat) -> Json:
    if wanted.kind is not OutputFormatKind.JSON_SCHEMA:
        return {"type": wanted.kind.value}
    shown: Json = {"type": "json_schema", "name": wanted.name, "schema": dict(wanted.schema or {})}
    described = {"description": wanted.description} if wanted.description is not None else {}
    return shown | described | {"strict": bool(wanted.strict)}
