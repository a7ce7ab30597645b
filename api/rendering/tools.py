"""How do the functions and the form of answer that were asked for look to a caller?"""

from typing import Any

from domain.content.tools import Form, Format, FormatKind, Function

type Json = dict[str, Any]


def shown_form(form: Form) -> Json:
    """Return the members of a response object that tell its form."""
    return {
        "tools": [shown_function(each) for each in form.functions],
        "tool_choice": shown_choice(form),
        "parallel_tool_calls": form.parallel,
    }


def shown_text(wanted: Format, verbosity: str | None) -> Json:
    return {"format": shown_format(wanted)} | ({"verbosity": verbosity} if verbosity else {})


def shown_function(function: Function) -> Json:
    return {
        "type": "function",
        "name": function.name,
        "description": function.description,
        "parameters": None if function.parameters is None else dict(function.parameters),
        "strict": function.strict,
    }


def shown_choice(form: Form) -> str | Json:
    if form.single:
        return {"type": "function", "name": form.only[0]}
    if form.only:
        allowed = [{"type": "function", "name": name} for name in form.only]
        return {"type": "allowed_tools", "mode": form.choosing.value, "tools": allowed}
    return form.choosing.value


def shown_format(wanted: Format) -> Json:
    if wanted.kind is not FormatKind.JSON_SCHEMA:
        return {"type": wanted.kind.value}
    shown: Json = {"type": "json_schema", "name": wanted.name, "schema": dict(wanted.schema or {})}
    described = {"description": wanted.description} if wanted.description is not None else {}
    return shown | described | {"strict": bool(wanted.strict)}
