"""Which tools does the caller offer to the model, and which of them can it have?

The caller runs functions and custom tools. A namespace is a group of them. The service runs the tools of configured
servers (type mcp) and searches its own sources (type file_search). Other tools run on the server of another vendor:
they are left out and named in `x-ganglion-ignored`, or rejected where the caller's metadata says so.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import replace
from typing import Annotated, Any, Literal, cast

from msgspec import Struct
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.http.json_path import path_of
from api.http.validation import RequestPart, validated, wrong_type
from api.parsing.server_tools import (
    RequestedSearch,
    RequestedServer,
    check_labels,
    is_search,
    is_server,
    read_search,
    read_server,
)
from domain.content.custom_tools import PARAMETERS, CustomInput, ToolNamespace
from domain.content.json_schema import contradiction
from domain.content.tools import FunctionTool
from domain.errors import Invalid

FUNCTIONS_LIMIT = 128
UNSUPPORTED_TOOLS = "unsupported_tools"
"""The key of the metadata that decides about tools that this service can't run."""
NAMED_LIMIT = 64
HOSTED = re.compile(
    r"(web_search|file_search|computer|code_interpreter|image_generation|local_shell|shell|apply_patch|mcp|tool_search"
    r"|programmatic_tool_calling)\w*"
)
"""The types of tools that other services run themselves, with their dated variants."""

type FunctionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]
type Path = tuple[str | int, ...]


def without_contradiction(schema: dict[str, Any]) -> dict[str, Any]:
    if problem := contradiction(schema):
        raise PydanticCustomError("contradiction", "in this schema {problem}", {"problem": problem})
    return schema


type Schema = Annotated[dict[str, Any], AfterValidator(without_contradiction)]
"""A JSON schema to which a model is held."""


class FunctionInput(RequestPart):
    name: FunctionName
    description: str | None = None
    parameters: Schema | None = None
    strict: bool | None = None

    def function(self) -> FunctionTool:
        return FunctionTool(
            name=self.name, description=self.description, parameters=self.parameters, strict=self.strict
        )


class GrammarInput(RequestPart):
    syntax: Literal["lark", "regex"]
    definition: str


class CustomFormat(RequestPart):
    """The Responses API has the members of a grammar in the format, Chat Completions in an object of their own."""

    type: Literal["text", "grammar"]
    syntax: Literal["lark", "regex"] | None = None
    definition: str | None = None
    grammar: GrammarInput | None = None


class CustomToolInput(RequestPart):
    name: FunctionName
    description: str | None = None
    format: CustomFormat | None = None

    def function(self, path: Path) -> FunctionTool:
        custom = custom_input(self.format, (*path, "format"))
        return FunctionTool(name=self.name, description=self.description, parameters=PARAMETERS, custom=custom)


class NamespaceInput(RequestPart):
    name: FunctionName
    description: str | None = None
    tools: list[Any] = Field(default_factory=list[Any])


class WireNesting(Struct, frozen=True, kw_only=True):
    """Whether an API nests the properties of a function or a schema in a member of their own."""

    is_nested: bool

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types of the tools that the caller runs."""
        return ("function", "custom") if self.is_nested else ("function", "custom", "namespace")

    def inner(self, value: Mapping[str, Any], member: str, path: Path) -> tuple[Any, Path]:
        return (value.get(member), (*path, member)) if self.is_nested else (value, path)


RESPONSES = WireNesting(is_nested=False)
CHAT = WireNesting(is_nested=True)


class ToolList(Struct, frozen=True, kw_only=True):
    """The functions that the caller offers, the servers, the search, and the types of the tools that are left out."""

    functions: tuple[FunctionTool, ...] = ()
    servers: tuple[RequestedServer, ...] = ()
    search: RequestedSearch | None = None
    left_out: tuple[str, ...] = ()

    @property
    def ignored(self) -> tuple[str, ...]:
        """The names of the left-out tools for the header of ignored fields."""
        return tuple(dict.fromkeys(f"tools.{kind}" for kind in self.left_out))


def read_tools(value: Any, metadata: Mapping[str, str], nesting: WireNesting) -> ToolList:
    """Read the field `tools`; raises Invalid for a tool of an unknown type and for two tools with one name."""
    if value is None:
        return ToolList()
    if not isinstance(value, list):
        raise wrong_type("tools", "an array", value)
    may_leave_out = leaves_out(metadata)
    found = [read_tool(each, ("tools", index), nesting) for index, each in enumerate(cast("list[Any]", value))]
    left_out = [(index, each) for index, each in enumerate(found) if isinstance(each, str)]
    if left_out and not may_leave_out:
        raise cannot_run(("tools", left_out[0][0]), left_out[0][1])
    functions = tuple(function for each in found if isinstance(each, tuple) for function in each)
    servers = tuple(each for each in found if isinstance(each, RequestedServer))
    check_functions(functions)
    check_labels(servers)
    searches = [each for each in found if isinstance(each, RequestedSearch)]
    if len(searches) > 1:
        where = path_of(searches[1].path)
        raise invalid(where, "expected one tool of the type file_search; name all sources in it")
    search = searches[0] if searches else None
    return ToolList(functions=functions, servers=servers, search=search, left_out=tuple(kind for _, kind in left_out))


def leaves_out(metadata: Mapping[str, str]) -> bool:
    choice = metadata.get(UNSUPPORTED_TOOLS, "ignore")
    if choice not in ("ignore", "reject"):
        raise invalid(f"metadata.{UNSUPPORTED_TOOLS}", "expected 'ignore' or 'reject'")
    return choice == "ignore"


def check_functions(functions: Sequence[FunctionTool]) -> None:
    if len(functions) > FUNCTIONS_LIMIT:
        raise invalid("tools", f"expected at most {FUNCTIONS_LIMIT} tools, but got {len(functions)}")
    names = [each.flat_name for each in functions]
    if duplicate := next((name for name in names if names.count(name) > 1), None):
        raise invalid("tools", f"duplicate tool name '{duplicate}'")


type ReadTool = tuple[FunctionTool, ...] | RequestedServer | RequestedSearch | str


def read_tool(value: Any, path: Path, nesting: WireNesting) -> ReadTool:
    """Return the functions that a tool is offered as, or its server or search, or the type of one that can't be run."""
    body = require_object(value, path)
    kind = body.get("type")
    if is_server(body) or is_search(body):
        if nesting.is_nested:
            raise only_in_responses(path, body["type"])
        return read_server(body, path) if is_server(body) else read_search(body, path)
    if isinstance(kind, str) and HOSTED.fullmatch(kind):
        return kind[:NAMED_LIMIT]
    check_kind(body, nesting.kinds, path)
    return tuple(namespaced(body, path)) if kind == "namespace" else (read_function(body, path, nesting),)


def read_function(body: Mapping[str, Any], path: Path, nesting: WireNesting) -> FunctionTool:
    inner, where = nesting.inner(body, body["type"], path)
    inner = require_object(inner, where)
    if body["type"] == "custom":
        return validated(CustomToolInput, inner, *where).function(where)
    return validated(FunctionInput, inner, *where).function()


def namespaced(body: Mapping[str, Any], path: Path) -> Iterator[FunctionTool]:
    """Yield the tools of a namespace."""
    group = validated(NamespaceInput, body, *path)
    namespace = ToolNamespace(name=group.name, description=group.description or "")
    for index, each in enumerate(group.tools):
        where = (*path, "tools", index)
        member = require_object(each, where)
        check_kind(member, CHAT.kinds, where)
        yield replace(read_function(member, where, RESPONSES), namespace=namespace)


def custom_input(form: CustomFormat | None, path: Path) -> CustomInput:
    """Return the form of a custom tool's input; raises Invalid for a grammar without its definition."""
    if form is None or form.type == "text":
        return CustomInput()
    syntax = form.grammar.syntax if form.grammar else form.syntax
    definition = form.grammar.definition if form.grammar else form.definition
    if syntax is None or definition is None:
        missing = path_of((*path, "syntax" if syntax is None else "definition"))
        raise Invalid(f"Missing required parameter: '{missing}'.", field=missing, code="missing_required_parameter")
    return CustomInput(syntax=syntax, grammar=definition)


def only_in_responses(path: Path, kind: str) -> Invalid:
    where = f"{path_of(path)}.type"
    message = (
        f"Unsupported value for '{where}': Chat Completions has no tools of the type {kind}; use the Responses API."
    )
    return Invalid(message, field=where, code="unsupported_parameter")


def cannot_run(path: Path, kind: str) -> Invalid:
    where = f"{path_of(path)}.type"
    message = (
        f"Unsupported value for '{where}': this service can't run the tool '{kind}'. Leave it out, or use a function. "
        f"Without 'metadata.{UNSUPPORTED_TOOLS}' set to 'reject', such tools are ignored unless they are chosen."
    )
    return Invalid(message, field=where, code="unsupported_parameter")


def require_object(value: Any, path: Path) -> dict[str, Any]:
    if value is None:
        where = path_of(path)
        raise Invalid(f"Missing required parameter: '{where}'.", field=where, code="missing_required_parameter")
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
