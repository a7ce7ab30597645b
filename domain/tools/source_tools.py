"""Which tools do the sources of private data give?

A source with `tool = true` is a tool of each server of the kind `sources` that names it, and one with keywords can be
searched by `file_search`. A call reads the rows of the turn's owner: the model gives no more than words to search for.
"""

from collections.abc import Mapping, Sequence
from copy import replace
from typing import Any, Final

from domain.content.tools import ToolConfig
from domain.errors import ConfigurationError
from domain.identity.owners import Owner
from domain.sources.catalog import Source, Sources
from domain.sources.file_search import QUERY, SEARCH_SERVER, SEARCH_TOOL
from domain.tools.catalog import ServerKind, ServerTool, ToolServer, ToolServers

ROW_TOKENS: Final = 24
"""The tokens around one row of a result."""

AROUND_TOKENS: Final = 200
MAX_QUERY: Final = 2000
MOST_RESULTS: Final = 50

NO_WORDS: Final[Mapping[str, Any]] = {"type": "object", "properties": {}, "additionalProperties": False}
WORDS: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {QUERY: {"type": "string", "description": "Words to search for", "maxLength": MAX_QUERY}},
    "required": [QUERY],
    "additionalProperties": False,
}


BLOB: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        QUERY: {"type": "string", "description": "The address or the name of the file", "maxLength": MAX_QUERY}
    },
    "required": [QUERY],
    "additionalProperties": False,
}


def with_source_tools(servers: ToolServers, sources: Sources) -> ToolServers:
    """Return the servers with the tools of the sources. A server that has none is left out.

    Raises ConfigurationError for a name that is no source with `tool = true`.
    """
    usable = {name: source for name, source in sources.known.items() if source.is_tool}
    problems = [
        f"servers.{server.label}.sources: expected names of sources with tool = true, found {name!r}"
        for server in servers.known.values()
        for name in server.sources
        if name not in usable and name not in sources.unconfigured
    ]
    if problems:
        raise ConfigurationError(tuple(problems))
    known = {label: with_tools(server, usable) for label, server in servers.known.items()}
    searching = [source for source in usable.values() if source.keywords]
    search = {SEARCH_SERVER: search_server(searching)} if searching else {}
    empty = {label for label, server in known.items() if server.kind is ServerKind.SOURCES and not server.tools}
    known = {label: server for label, server in known.items() if label not in empty}
    return replace(servers, known={**known, **search}, unconfigured=servers.unconfigured | empty)


def with_tools(server: ToolServer, usable: Mapping[str, Source]) -> ToolServer:
    if server.kind is not ServerKind.SOURCES:
        return server
    names = server.sources or tuple(usable)
    return replace(server, tools={name: source_tool(usable[name]) for name in names if name in usable})


def source_tool(source: Source) -> ServerTool:
    """Return the tool that reads one source: a search where it takes keywords, else a lookup."""
    about = source.description or f"The rows of {source.name}."
    how = "Searches the user's own rows." if source.keywords else "Returns the user's own rows."
    asked = BLOB if source.reads_named_blob else WORDS if source.keywords else NO_WORDS
    return ServerTool(
        name=source.name,
        description=f"{about} {how}",
        parameters=asked,
        timeout_s=source.deadline_s,
        max_result_tokens=AROUND_TOKENS + tokens_of(source),
        sources={source.name: tokens_of(source)},
        tenants=source.tenants,
    )


def search_server(searching: Sequence[Source]) -> ToolServer:
    """Return the server of `file_search`, which searches these sources at once."""
    abouts = "; ".join(f"{each.name}: {each.description}" if each.description else each.name for each in searching)
    tool = ServerTool(
        name=SEARCH_TOOL,
        description=f"Searches the user's own data ({abouts}).",
        parameters=WORDS,
        timeout_s=max((each.deadline_s for each in searching), default=1.0),
        max_result_tokens=AROUND_TOKENS + sum(map(tokens_of, searching)),
        sources={each.name: tokens_of(each) for each in searching},
    )
    return ToolServer(label=SEARCH_SERVER, kind=ServerKind.SOURCES, address="", tools={SEARCH_TOOL: tool})


def tokens_of(source: Source) -> int:
    """Return the most tokens that the rows of a source have in a result."""
    return source.max_tokens + ROW_TOKENS * source.max_rows


def searched_sources(sources: Sources, owner: Owner, names: Sequence[str]) -> Sequence[Source]:
    """Return the sources that a request searches. Raises KeyError with the first name that the owner can't search."""
    found: list[Source] = []
    for name in dict.fromkeys(names):
        source = sources.known.get(name)
        if source is None or not (source.is_tool and source.keywords and source.is_open_to(owner)):
            raise KeyError(name)
        found.append(source)
    return found


def as_offered(config: ToolConfig, server: ToolServer, tool: ServerTool) -> ServerTool:
    """Return the tool of a call as the turn was offered it: `file_search` searches what its request names."""
    if server.label != SEARCH_SERVER:
        return tool
    names = set(searched_names(config))
    sources = {name: tokens for name, tokens in tool.sources.items() if name in names}
    size = AROUND_TOKENS + sum(sources.values())
    return replace(tool, sources=sources, max_rows=most_results(config), max_result_tokens=size)


def searched_names(config: ToolConfig) -> Sequence[str]:
    return [name for body in search_requests(config) for name in body["vector_store_ids"]]


def most_results(config: ToolConfig) -> int:
    return next((body.get("max_num_results") or MOST_RESULTS for body in search_requests(config)), MOST_RESULTS)


def search_requests(config: ToolConfig) -> Sequence[Mapping[str, Any]]:
    return [each.request for each in config.servers if each.label == SEARCH_SERVER]


def read_by_tools(config: ToolConfig, servers: ToolServers) -> frozenset[str]:
    """Return the names of the sources that the tools of a turn read, which it does not read beforehand."""
    offered = [(servers.known.get(each.server), each.name) for each in config.functions if each.server]
    looked_up = {name for server, name in offered if server and server.kind is ServerKind.SOURCES}
    return frozenset({*looked_up, *searched_names(config)} - {SEARCH_TOOL})
