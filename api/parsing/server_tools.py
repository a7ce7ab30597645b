"""Which servers does the caller want the service to run tools of, and how does the caller restrict them?

The operator's file has the addresses and the credentials: a request that brings its own is rejected.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, cast

from msgspec import Struct
from pydantic import BeforeValidator, Field, StringConstraints

from api.http.json_path import path_of
from api.http.validation import RequestPart, validated
from domain.content.items import Item, ItemKind, ItemStatus
from domain.errors import Invalid
from domain.sources.file_search import SEARCH_SERVER, sent_back
from domain.tools.catalog import ServerTool, ToolEffect

MCP = "mcp"
ITEMS_LIMIT = 10_000
EXECUTION_ERROR = "mcp_tool_execution_error"

type Path = tuple[str | int, ...]
type Label = Annotated[str, StringConstraints(min_length=1, max_length=64)]
type SourceName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
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


class RequestedServer(Struct, frozen=True, kw_only=True):
    """A server that the caller names; `body` is the caller's own object, `path` its place in the request."""

    label: str
    url: str | None
    allowed: FilterInput | None
    approval: ApprovalInput | None
    body: Mapping[str, Any]
    path: Path

    def field(self, name: str) -> str:
        return path_of((*self.path, name))


class SearchInput(RequestPart):
    vector_store_ids: Annotated[list[SourceName], Field(min_length=1, max_length=20)]
    max_num_results: Annotated[int, Field(ge=1, le=50)] | None = None


class RequestedSearch(Struct, frozen=True, kw_only=True):
    """The sources that the model may search; `body` is the caller's own object, `path` its place in the request."""

    names: tuple[str, ...]
    body: Mapping[str, Any]
    path: Path


class ServerChoice(Struct, frozen=True, kw_only=True):
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


def is_search(body: Mapping[str, Any]) -> bool:
    return body.get("type") == SEARCH_SERVER


def read_search(body: Mapping[str, Any], path: Path) -> RequestedSearch:
    """Read a tool of the type file_search; raises Invalid."""
    for name in ("filters", "ranking_options"):
        if body.get(name) is not None:
            raise not_supported((*path, name), "the operator configures which rows a source gives, and their order")
    read = validated(SearchInput, body, *path)
    most = {"max_num_results": read.max_num_results} if read.max_num_results else {}
    shown = {"type": SEARCH_SERVER, "vector_store_ids": read.vector_store_ids, **most}
    return RequestedSearch(names=tuple(read.vector_store_ids), body=shown, path=path)


def read_server_choices(value: Any) -> tuple[ServerChoice, ...]:
    """Return the servers and their tools that the field `tool_choice` names, alone or among the allowed tools."""
    if not isinstance(value, dict):
        return ()
    body = cast("dict[str, Any]", value)
    if is_server(body) or is_search(body):
        return (read_server_choice(body, ("tool_choice",)),)
    listed: Any = body.get("tools") if body.get("type") == "allowed_tools" else ()
    entries = cast("list[Any]", listed) if isinstance(listed, list) else []
    return tuple(
        read_server_choice(cast("dict[str, Any]", each), ("tool_choice", "tools", index))
        for index, each in enumerate(entries)
        if isinstance(each, dict)
        and (is_server(cast("dict[str, Any]", each)) or is_search(cast("dict[str, Any]", each)))
    )


def read_server_choice(body: Mapping[str, Any], path: Path) -> ServerChoice:
    if is_search(body):
        return ServerChoice(label=SEARCH_SERVER, name=None, path=path)
    read = validated(ServerChoiceInput, body, *path)
    return ServerChoice(label=read.server_label, name=read.name, path=path)


def as_list_error(value: Any) -> Any:
    return {"message": value} if isinstance(value, str) else value


def as_call_error(value: Any) -> Any:
    return {"type": EXECUTION_ERROR, "content": value} if isinstance(value, str) else value


type Error = dict[str, Any]
type ListError = Annotated[Error, BeforeValidator(as_list_error, json_schema_input_type=str | Error)]
type CallError = Annotated[Error, BeforeValidator(as_call_error, json_schema_input_type=str | Error)]


class ServerToolsInput(RequestPart):
    """The list of a server's tools. The model does not read it: the request offers the tools."""

    server_label: str = Field(min_length=1, max_length=64)
    tools: list[dict[str, Any]] = Field(max_length=ITEMS_LIMIT)
    error: ListError | None = None

    def item(self) -> Item:
        tools = json.dumps(self.tools)
        return Item(id="", kind=ItemKind.MCP_TOOLS, server=self.server_label, output=tools, error=self.error)


class ServerCallInput(RequestPart):
    """A call that a server ran, with its result."""

    server_label: str = Field(min_length=1, max_length=64)
    name: str = Field(min_length=1, max_length=128)
    arguments: str
    output: str | None = None
    error: CallError | None = None
    approval_request_id: str | None = Field(default=None, max_length=256)

    def item(self) -> Item:
        return Item(
            id="",
            kind=ItemKind.MCP_CALL,
            text=self.arguments,
            status=ItemStatus.FAILED if self.error else ItemStatus.COMPLETED,
            name=self.name,
            server=self.server_label,
            output=self.output,
            error=self.error,
            approval=self.approval_request_id or "",
        )


class SearchResultInput(RequestPart):
    file_id: str | None = None
    filename: str | None = None
    text: str | None = None


class SearchCallInput(RequestPart):
    """A search of private data, with its results where the caller has them."""

    queries: list[str] = Field(max_length=ITEMS_LIMIT)
    results: Annotated[list[SearchResultInput], Field(max_length=ITEMS_LIMIT)] | None = None
    status: str | None = Field(default=None, max_length=64)

    def item(self) -> Item:
        results = None if self.results is None else [each.model_dump() for each in self.results]
        return sent_back(self.queries, results, has_failed=self.status == ItemStatus.FAILED.value)
