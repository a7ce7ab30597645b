"""Which servers does the caller want the service to run tools of, and how does the caller restrict them?

The operator's file has the addresses and the credentials: a request that brings its own is rejected.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, StringConstraints

from api.http.json_path import path_of
from api.http.validation import RequestPart, validated
from domain.errors import Invalid
from domain.tools.catalog import ServerTool, ToolEffect

MCP = "mcp"

type Path = tuple[str | int, ...]
type Label = Annotated[str, StringConstraints(min_length=1, max_length=64)]
type ToolName = Annotated[str, StringConstraints(min_length=1, max_length=128)]

OWN_ACCESS = ("authorization", "headers", "connector_id", "tunnel_id")
"""The fields by which a caller would bring an address or a credential."""


def as_filter(value: Any) -> Any:
    return {"tool_names": cast("Any", value)} if isinstance(value, list) else value


class FilterInput(RequestPart):
    """A filter of a server's tools, or the list of their names."""

    tool_names: list[ToolName] | None = None
    read_only: bool | None = None

    def matches(self, tool: ServerTool) -> bool:
        is_named = self.tool_names is None or tool.name in self.tool_names
        return is_named and self.read_only in (None, tool.effect is ToolEffect.READ)


type ToolFilter = Annotated[FilterInput, BeforeValidator(as_filter, json_schema_input_type=list[str] | FilterInput)]


class ApprovalInput(RequestPart):
    always: ToolFilter | None = None
    never: ToolFilter | None = None

    def requires(self, tool: ServerTool) -> bool:
        """Tell whether the caller wants to approve calls of a tool. With `never` alone, all other tools need it."""
        if self.always and self.always.matches(tool):
            return True
        return self.never is not None and self.always is None and not self.never.matches(tool)


def as_approval(value: Any) -> Any:
    return {value: {}} if value in ("always", "never") else value


type Approval = Annotated[
    ApprovalInput,
    BeforeValidator(as_approval, json_schema_input_type=Literal["always", "never"] | ApprovalInput),
]


class ServerInput(RequestPart):
    server_label: Label
    server_url: str | None = None
    allowed_tools: ToolFilter | None = None
    require_approval: Approval | None = None


SHOWN = ("type", *ServerInput.model_fields, "server_description")
"""The fields that the response object returns."""


class ServerChoiceInput(RequestPart):
    server_label: Label
    name: ToolName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedServer:
    """A server that the caller names; `body` is the caller's own object, `path` its place in the request."""

    label: str
    url: str | None
    allowed: FilterInput | None
    approval: ApprovalInput | None
    body: Mapping[str, Any]
    path: Path

    def field(self, name: str) -> str:
        return path_of((*self.path, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerChoice:
    """A server, or one of its tools, that `tool_choice` names."""

    label: str
    name: str | None
    path: Path


def read_server(body: Mapping[str, Any], path: Path) -> RequestedServer:
    """Read a tool of the type mcp; raises Invalid."""
    for name in OWN_ACCESS:
        if body.get(name) is not None:
            raise not_supported((*path, name), "the operator configures addresses and credentials")
    if body.get("defer_loading"):
        raise not_supported((*path, "defer_loading"), "all tools of a server are offered at once")
    read = validated(ServerInput, body, *path)
    return RequestedServer(
        label=read.server_label,
        url=read.server_url,
        allowed=read.allowed_tools,
        approval=read.require_approval,
        body={name: body[name] for name in SHOWN if body.get(name) is not None},
        path=path,
    )


def not_supported(path: Path, reason: str) -> Invalid:
    where = path_of(path)
    message = f"Unsupported parameter: '{where}' is not supported: {reason}. Leave it out."
    return Invalid(message, field=where, code="unsupported_parameter")


def check_labels(servers: Sequence[RequestedServer]) -> None:
    labels = [each.label for each in servers]
    for server in servers:
        if labels.count(server.label) > 1:
            where = server.field("server_label")
            message = f"Invalid '{where}': duplicate server label; name each server once."
            raise Invalid(message, field=where, code="invalid_value")


def is_server(body: Mapping[str, Any]) -> bool:
    return body.get("type") == MCP


def read_server_choices(value: Any) -> tuple[ServerChoice, ...]:
    """Return the servers and their tools that the field `tool_choice` names, alone or among the allowed tools."""
    if not isinstance(value, dict):
        return ()
    body = cast("dict[str, Any]", value)
    if is_server(body):
        return (read_server_choice(body, ("tool_choice",)),)
    listed: Any = body.get("tools") if body.get("type") == "allowed_tools" else ()
    entries = cast("list[Any]", listed) if isinstance(listed, list) else []
    return tuple(
        read_server_choice(cast("dict[str, Any]", each), ("tool_choice", "tools", index))
        for index, each in enumerate(entries)
        if isinstance(each, dict) and is_server(cast("dict[str, Any]", each))
    )


def read_server_choice(body: Mapping[str, Any], path: Path) -> ServerChoice:
    read = validated(ServerChoiceInput, body, *path)
    return ServerChoice(label=read.server_label, name=read.name, path=path)
