"""Which tool choice and output format does the caller request?"""

from collections.abc import Mapping
from copy import replace
from typing import Annotated, Any, Literal

from pydantic import Field, SkipValidation, StringConstraints

from api.http.validation import RequestPart, validated
from api.parsing.server_tools import is_search, is_server
from api.parsing.tool_list import (
    FUNCTIONS_LIMIT,
    HOSTED,
    FunctionName,
    Path,
    Schema,
    ToolList,
    WireNesting,
    cannot_run,
    check_kind,
    invalid,
    require_object,
)
from domain.content.custom_tools import flat_name
from domain.content.tools import OutputFormat, OutputFormatKind, ToolChoice, ToolConfig

type ToolListField = SkipValidation[Annotated[list[dict[str, Any]], Field(max_length=FUNCTIONS_LIMIT)] | None]
type ToolChoiceField = SkipValidation[Literal["auto", "none", "required"] | dict[str, Any] | None]
type OutputFormatField = SkipValidation[dict[str, Any] | None]
"""The types of fields in the OpenAPI document. The functions below check the values, with better messages."""

CHOSEN_KINDS = ("function", "custom")


class ToolName(RequestPart):
    name: FunctionName
    namespace: FunctionName | None = None


class AllowedTools(RequestPart):
    mode: Literal["auto", "required"] = "auto"
    tools: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=FUNCTIONS_LIMIT)]


class FormatInput(RequestPart):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    json_schema: Schema | None = Field(default=None, validation_alias="schema")
    description: str | None = None
    strict: bool | None = None

    def format(self) -> OutputFormat:
        return OutputFormat(
            kind=OutputFormatKind.JSON_SCHEMA,
            name=self.name,
            schema=self.json_schema,
            description=self.description,
            strict=self.strict,
        )


def read_choice(value: Any, config: ToolConfig, tools: ToolList, nesting: WireNesting) -> ToolConfig:
    """Read the field `tool_choice` into a tool config that has the functions of `tools` already."""
    if value is None:
        return config
    if isinstance(value, str):
        if value not in set(ToolChoice):
            raise invalid("tool_choice", "expected auto, required, none, a function, a custom tool or allowed_tools")
        return checked(replace(config, tool_choice=ToolChoice(value)), tools)
    body = require_object(value, ("tool_choice",))
    if runs_here(body, nesting):
        is_one = bool(body.get("name")) or is_search(body)
        return checked(replace(config, tool_choice=ToolChoice.REQUIRED, must_call_one=is_one), tools)
    if is_hosted(body):
        raise cannot_run(("tool_choice",), body["type"])
    check_kind(body, (*CHOSEN_KINDS, "allowed_tools"), ("tool_choice",))
    if body["type"] != "allowed_tools":
        name = name_in(body, config, nesting)
        return checked(
            replace(config, tool_choice=ToolChoice.REQUIRED, allowed_names=(name,), must_call_one=True), tools
        )
    return allowed_tools(body, config, tools, nesting)


def allowed_tools(body: Mapping[str, Any], config: ToolConfig, tools: ToolList, nesting: WireNesting) -> ToolConfig:
    """Restrict the config to the allowed tools; those that this service can't run are left out, as in `tools`."""
    inner, path = nesting.inner(body, "allowed_tools", ("tool_choice",))
    allowed = validated(AllowedTools, require_object(inner, path), *path)
    entries = [(each, (*path, "tools", index)) for index, each in enumerate(allowed.tools) if not is_hosted(each)]
    has_servers = any(runs_here(each, nesting) for each in allowed.tools)
    if not entries and not has_servers and allowed.mode == "required":
        raise cannot_run((*path, "tools", 0), allowed.tools[0]["type"])
    if not entries and not has_servers:
        return replace(config, tool_choice=ToolChoice.NONE)
    names = tuple(name_in(each, config, nesting, *where) for each, where in entries)
    return checked(replace(config, tool_choice=ToolChoice(allowed.mode), allowed_names=names), tools)


def runs_here(body: Mapping[str, Any], nesting: WireNesting) -> bool:
    """Tell whether a choice is a server, or the search of private data, which this service runs."""
    return not nesting.is_nested and (is_server(body) or is_search(body))


def is_hosted(body: Mapping[str, Any]) -> bool:
    kind = body.get("type")
    return isinstance(kind, str) and HOSTED.fullmatch(kind) is not None


def name_in(body: Mapping[str, Any], config: ToolConfig, nesting: WireNesting, *path: str | int) -> str:
    """Return the flat name of a chosen tool; a tool in a namespace may be named without it."""
    where: Path = path or ("tool_choice",)
    check_kind(body, CHOSEN_KINDS, where)
    inner, where = nesting.inner(body, body["type"], where)
    chosen = validated(ToolName, require_object(inner, where), *where)
    named = [each for each in config.functions if each.name == chosen.name]
    if chosen.namespace:
        named = [each for each in named if each.namespace and each.namespace.name == chosen.namespace]
    names = [each.flat_name for each in named] or [flat_name(chosen.name, chosen.namespace or "")]
    return chosen.name if chosen.name in names else names[0]


def checked(config: ToolConfig, tools: ToolList) -> ToolConfig:
    """Return the tool config; raises Invalid where it chooses a function that is not among its tools."""
    known = {each.flat_name for each in config.functions}
    if missing := next((name for name in config.allowed_names if name not in known), None):
        raise invalid("tool_choice", f"'tools' has no function named '{missing}'")
    if config.tool_choice is ToolChoice.REQUIRED and not (config.functions or tools.servers or tools.search):
        left_out = f" besides tools that this service can't run ({', '.join(tools.left_out)})" if tools.left_out else ""
        raise invalid("tool_choice", f"a function call is required, but 'tools' has no function{left_out}")
    return config


def read_format(value: Any, path: Path, nesting: WireNesting) -> OutputFormat:
    """Read `text.format`, or Chat's `response_format`."""
    if value is None:
        return OutputFormat()
    body = require_object(value, path)
    check_kind(body, tuple(OutputFormatKind), path)
    kind = OutputFormatKind(body["type"])
    if kind is not OutputFormatKind.JSON_SCHEMA:
        return OutputFormat(kind=kind)
    inner, where = nesting.inner(body, "json_schema", path)
    return validated(FormatInput, require_object(inner, where), *where).format()
