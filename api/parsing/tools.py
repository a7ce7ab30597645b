"""Which functions, tool choice and output format does the caller request?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, cast

from pydantic import Field, SkipValidation, StringConstraints

from api.http.json_body import path_of
from api.http.validation import RequestPart, validated, wrong_type
from domain.content.tools import FunctionTool, OutputFormat, OutputFormatKind, ToolChoice, ToolConfig
from domain.errors import Invalid

FUNCTIONS_LIMIT = 128

type ToolListField = SkipValidation[Annotated[list[dict[str, Any]], Field(max_length=FUNCTIONS_LIMIT)] | None]
type ToolChoiceField = SkipValidation[Literal["auto", "none", "required"] | dict[str, Any] | None]
type OutputFormatField = SkipValidation[dict[str, Any] | None]
"""The types of fields in the OpenAPI document. The functions below check the values, with better messages."""

type FunctionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]


class FunctionInput(RequestPart):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    def function(self) -> FunctionTool:
        return FunctionTool(
            name=self.name, description=self.description, parameters=self.parameters, strict=self.strict
        )


class ToolName(RequestPart):
    name: FunctionName


class AllowedTools(RequestPart):
    mode: Literal["auto", "required"] = "auto"
    tools: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=FUNCTIONS_LIMIT)]


class FormatInput(RequestPart):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    json_schema: dict[str, Any] | None = Field(default=None, validation_alias="schema")
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


type Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireNesting:
    """Whether an API nests the properties of a function or a schema in a member of their own."""

    is_nested: bool

    def inner(self, value: Mapping[str, Any], member: str, path: Path) -> tuple[Any, Path]:
        return (value.get(member), (*path, member)) if self.is_nested else (value, path)


RESPONSES = WireNesting(is_nested=False)
CHAT = WireNesting(is_nested=True)


def read_functions(value: Any, nesting: WireNesting) -> tuple[FunctionTool, ...]:
    """Read the field `tools`; raises Invalid for a tool that is not a function."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise wrong_type("tools", "an array", value)
    elements = cast("list[Any]", value)
    if len(elements) > FUNCTIONS_LIMIT:
        raise invalid("tools", f"expected at most {FUNCTIONS_LIMIT} tools, but got {len(elements)}")
    functions = tuple(read_function(each, ("tools", index), nesting) for index, each in enumerate(elements))
    names = [each.name for each in functions]
    if duplicate := next((name for name in names if names.count(name) > 1), None):
        raise invalid("tools", f"duplicate tool name '{duplicate}'")
    return functions


def read_function(value: Any, path: Path, nesting: WireNesting) -> FunctionTool:
    body = require_object(value, path)
    check_kind(body, ("function",), path)
    inner, where = nesting.inner(body, "function", path)
    return validated(FunctionInput, require_object(inner, where), *where).function()


def read_choice(value: Any, config: ToolConfig, nesting: WireNesting) -> ToolConfig:
    """Read the field `tool_choice` into a tool config that has its functions already."""
    if value is None:
        return config
    if isinstance(value, str):
        if value not in set(ToolChoice):
            raise invalid("tool_choice", "expected auto, required, none, a function or allowed_tools")
        return checked(replace(config, tool_choice=ToolChoice(value)))
    body = require_object(value, ("tool_choice",))
    check_kind(body, ("function", "allowed_tools"), ("tool_choice",))
    if body["type"] == "function":
        return checked(replace(config, tool_choice=ToolChoice.REQUIRED, only=(name_in(body, nesting),), single=True))
    inner, path = nesting.inner(body, "allowed_tools", ("tool_choice",))
    allowed = validated(AllowedTools, require_object(inner, path), *path)
    names = tuple(name_in(each, nesting, *path, "tools", index) for index, each in enumerate(allowed.tools))
    return checked(replace(config, tool_choice=ToolChoice(allowed.mode), only=names))


def name_in(body: Mapping[str, Any], nesting: WireNesting, *path: str | int) -> str:
    inner, where = nesting.inner(body, "function", path or ("tool_choice",))
    return validated(ToolName, require_object(inner, where), *where).name


def checked(config: ToolConfig) -> ToolConfig:
    """Return the tool config; raises Invalid where it chooses a function that is not among its tools."""
    known = {each.name for each in config.functions}
    if missing := next((name for name in config.only if name not in known), None):
        raise invalid("tool_choice", f"'tools' has no function named '{missing}'")
    if config.tool_choice is ToolChoice.REQUIRED and not config.functions:
        raise invalid("tool_choice", "a function call is required, but 'tools' is empty")
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


def require_object(value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong_type(path_of(path), "an object", value)
    return cast("dict[str, Any]", value)


def check_kind(body: Mapping[str, Any], kinds: Sequence[str], path: Path) -> None:
    if body.get("type") not in kinds:
        where = f"{path_of(path)}.type"
        message = f"Unsupported value for '{where}': supported values are {', '.join(kinds)}."
        raise Invalid(message, field=where, code="unsupported_parameter")


def invalid(path: str, problem: str) -> Invalid:
    return Invalid(f"Invalid '{path}': {problem}.", field=path, code="invalid_value")
