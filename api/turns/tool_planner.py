"""Which tools of which servers may the model of a new turn call?

The file of the tools decides first; a caller may restrict it further. Everything that a running turn needs of it is
stored with the response, so that a change of the file changes no running turn.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from copy import replace
from typing import NamedTuple

from activities.tools.caller_grants import CallerGrants, Granted
from api.http.json_path import path_of
from api.parsing.input_items import SUMMARY_HEADING
from api.parsing.reserved_metadata import APPROVAL_WAIT
from api.parsing.responses_request import TurnRequest
from api.parsing.server_tools import RequestedSearch, RequestedServer, ServerChoice
from api.parsing.tool_list import check_functions
from api.turns.history import ModelInput
from clients.tools.port import in_name_of
from domain.content.items import Item, ItemKind
from domain.content.tools import FunctionTool, OfferedServer, ToolChoice, ToolConfig
from domain.errors import Invalid, Unavailable
from domain.identity.owners import Owner
from domain.sources.catalog import Sources
from domain.sources.file_search import SEARCH_SERVER, SEARCH_TOOL
from domain.tools.approval_rules import has_untrusted_result
from domain.tools.catalog import ServerAuth, ServerTool, ToolApproval, ToolServer, ToolServers
from domain.tools.listings.listing import ListedServer, offered_function
from domain.tools.rounds import largest_result, most_calls
from domain.tools.source_tools import read_by_tools, search_server, searched_sources
from state.tools.directory import ToolDirectory

RESULTS_KEPT = 2
"""For how many results of the largest size a prompt keeps room, where older turns have to give way."""

LISTED_AGAIN_S = 5.0
"""When a server that did not list its tools is asked again."""


class Offer(NamedTuple):
    """The tools of a turn, and the tokens of its caller with which servers were asked for their tools."""

    config: ToolConfig
    granted: Granted


class ToolPlanner:
    """Resolves the servers of requests."""

    def __init__(
        self, servers: ToolServers, sources: Sources, *, directory: ToolDirectory, grants: CallerGrants
    ) -> None:
        self.servers = servers
        self.sources = sources
        self.directory = directory
        self.grants = grants

    async def offered(self, owner: Owner, request: TurnRequest) -> Offer:
        """Return the request's tools with those of its servers; raises Invalid naming the field that is wrong."""
        if not (request.servers or request.server_choices or request.search):
            return Offer(request.tool_config, {})
        servers = [self.server(owner, each) for each in request.servers]
        check_wait(request, servers)
        granted = await self.grants.to_list(owner, servers, request.assertion)
        tokens = {label: each.token for label, each in granted.items()}
        credentials = [in_name_of(owner, each, tokens.get(each.label, "")) for each in servers]
        listed = await asyncio.gather(*map(self.directory.listed, servers, credentials))
        return Offer(self.with_listed(owner, request, listed), granted)

    def with_listed(self, owner: Owner, request: TurnRequest, listed: Sequence[ListedServer]) -> ToolConfig:
        """Return the request's tools with those that its servers list."""
        config = request.tool_config
        found = list(zip(request.servers, listed, strict=True))
        check_lists(found)
        check_any_list(listed, has_others=bool(config.functions))
        search = self.search(owner, request.search) if request.search else None
        functions = tuple(each for asked, one in found for each in functions_of(asked, one.server))
        offered = replace(
            config,
            functions=config.functions + functions + ((search_function(search),) if search else ()),
            servers=tuple(offered_server(asked, one) for asked, one in found) + offered_search(request.search),
            approval_s=float(self.servers.limits.approval_ttl_s),
        )
        check_functions(offered.functions)
        return with_choices(offered, request.server_choices)

    def room_for_results(self, config: ToolConfig, *, room: int) -> int:
        """Return how many tokens of a prompt's room to keep for the results of the turn's own calls."""
        return min(RESULTS_KEPT * largest_result(config, self.servers), room // 2)

    def most_calls(self, config: ToolConfig) -> int:
        """Return how many calls of servers' tools a turn may make, the approved ones included."""
        return most_calls(config, self.servers.limits)

    def with_taint(self, config: ToolConfig, read: ModelInput, *, has_blob: bool) -> ToolConfig:
        """Mark a turn that reads results of servers that are not trusted, a blob, or what depends on them.

        What was left out may have had some. A turn without tools is marked too: another turn may continue it.
        """
        is_cut = bool(read.left_out or read.results_out)
        is_found = has_untrusted_result(read.items, self.servers) or any(map(is_summary, read.items))
        return replace(config, is_tainted=read.is_tainted or is_cut or is_found or has_blob)

    def read_beforehand(self, config: ToolConfig, sources: Sequence[str]) -> tuple[str, ...]:
        """Return the sources that a turn reads before its model is asked: not those that its tools read."""
        by_tools = read_by_tools(config, self.servers)
        return tuple(name for name in sources if name not in by_tools)

    def search(self, owner: Owner, asked: RequestedSearch) -> ToolServer:
        """Return what searches these sources. One of another tenant is answered like an unknown one."""
        try:
            return search_server(searched_sources(self.sources, owner, asked.names))
        except KeyError as unknown:
            where = path_of((*asked.path, "vector_store_ids"))
            message = f"Invalid '{where}': no source {unknown} can be searched by this caller."
            raise Invalid(message, field=where, code="source_not_found") from None

    def server(self, owner: Owner, asked: RequestedServer) -> ToolServer:
        """Return the server of a label. A label of another tenant is answered like an unknown one."""
        server = self.servers.open_to(owner, asked.label) if asked.label != SEARCH_SERVER else None
        if server is None:
            where = asked.field("server_label")
            message = f"Invalid '{where}': no server {asked.label!r} is configured for this caller."
            raise Invalid(message, field=where, code="tool_not_found")
        if asked.url is not None and asked.url.rstrip("/") != server.url.rstrip("/"):
            where = asked.field("server_url")
            message = f"Unsupported value for '{where}': it is not the configured address of this server. Leave it out."
            raise Invalid(message, field=where, code="unsupported_value")
        if asked.allowed and not server.others and not allowed_tools(asked, server):
            raise no_such_tool(asked, server)
        return server


def check_wait(request: TurnRequest, servers: Iterable[ToolServer]) -> None:
    """Raise Invalid for a turn that waits in place and calls with the rights of its caller, which expire meanwhile."""
    named = [each.label for each in servers if each.auth is ServerAuth.OBO]
    if request.approval_wait_s and named:
        message = (
            f"Invalid 'metadata.{APPROVAL_WAIT}': the server {named[0]!r} is called with the caller's rights, which "
            "expire while a turn waits. Leave it out, and answer requests in a new response."
        )
        raise Invalid(message, field=f"metadata.{APPROVAL_WAIT}", code="invalid_value")


def check_lists(found: Sequence[tuple[RequestedServer, ListedServer]]) -> None:
    """Raise Invalid for a filter that names no tool which its server lists."""
    for asked, one in found:
        is_known = one.problem or allowed_tools(asked, one.server) or not one.server.others
        if asked.allowed and not is_known:
            raise no_such_tool(asked, one.server)


def check_any_list(listed: Sequence[ListedServer], *, has_others: bool) -> None:
    """Raise Unavailable where none of several servers lists its tools: the turn would have nothing to work with."""
    if len(listed) > 1 and not has_others and all(one.problem for one in listed):
        reasons = " ".join(f"{one.server.label}: {one.problem}" for one in listed)
        raise Unavailable(f"No server of the request lists its tools. {reasons}", delay_s=LISTED_AGAIN_S)


def no_such_tool(asked: RequestedServer, server: ToolServer) -> Invalid:
    where = asked.field("allowed_tools")
    known = ", ".join(server.tools) or "none"
    message = f"Invalid '{where}': the server has no tool of this name; its tools are {known}."
    return Invalid(message, field=where, code="invalid_value")


def allowed_tools(asked: RequestedServer, server: ToolServer) -> Sequence[ServerTool]:
    return [each for each in server.tools.values() if asked.allowed is None or asked.allowed.matches(each)]


def needs_approval(asked: RequestedServer, tool: ServerTool) -> bool:
    """Tell whether the file or the caller wants calls of a tool to be approved."""
    is_stricter = asked.approval is not None and asked.approval.requires(tool)
    return is_stricter or tool.approval is ToolApproval.ALWAYS


def functions_of(asked: RequestedServer, server: ToolServer) -> Iterable[FunctionTool]:
    return (
        offered_function(server, tool, needs_approval=needs_approval(asked, tool))
        for tool in allowed_tools(asked, server)
    )


def offered_server(asked: RequestedServer, listed_server: ListedServer) -> OfferedServer:
    """Return the server with the list of its offered tools, and why others are not offered."""
    server = listed_server.server
    listed = [
        {
            "name": each.name,
            "description": each.description,
            "input_schema": each.input_schema,
            "annotations": each.annotations,
        }
        for each in allowed_tools(asked, server)
    ]
    return OfferedServer(label=server.label, request=asked.body, tools=json.dumps(listed), problem=listed_server.told)


def search_function(server: ToolServer) -> FunctionTool:
    tool = server.tools[SEARCH_TOOL]
    return FunctionTool(name=tool.name, description=tool.description, parameters=tool.input_schema, server=server.label)


def offered_search(asked: RequestedSearch | None) -> tuple[OfferedServer, ...]:
    """Return the search as the caller asked for it. The thread shows no list of tools for it."""
    return (OfferedServer(label=SEARCH_SERVER, request=asked.body, is_new=False),) if asked else ()


def with_choices(config: ToolConfig, choices: Sequence[ServerChoice]) -> ToolConfig:
    """Restrict the config to the tools that `tool_choice` names; raises Invalid where it names none."""
    names = config.allowed_names + tuple(name for choice in choices for name in chosen_names(config, choice))
    chosen = replace(config, allowed_names=names)
    if chosen.tool_choice is ToolChoice.REQUIRED and not chosen.callable_functions:
        message = "Invalid 'tool_choice': a call is required, but no tool may be called."
        raise Invalid(message, field="tool_choice", code="invalid_value")
    return chosen


def chosen_names(config: ToolConfig, choice: ServerChoice) -> Sequence[str]:
    tools = [each for each in config.functions if each.server == choice.label]
    names = [each.flat_name for each in tools if choice.name in (None, each.name)]
    if not names:
        where = path_of(choice.path)
        what = f"no tool {choice.name!r} of a server {choice.label!r}" if choice.name else f"no server {choice.label!r}"
        raise Invalid(f"Invalid '{where}': 'tools' offers {what}.", field=where, code="invalid_value")
    return names


def is_summary(item: Item) -> bool:
    """Tell whether an item sums up earlier turns, which may have had results of tools."""
    return item.kind is ItemKind.MESSAGE and item.text.startswith(SUMMARY_HEADING)


def without_known_lists(config: ToolConfig, items: Iterable[Item]) -> ToolConfig:
    """Mark the lists that the thread has shown already: of each server, the last one counts."""
    known = {each.server: json.loads(each.output or "[]") for each in items if each.kind is ItemKind.MCP_TOOLS}
    servers = tuple(
        replace(each, is_new=each.label != SEARCH_SERVER and known.get(each.label) != json.loads(each.tools))
        for each in config.servers
    )
    return replace(config, servers=servers)
