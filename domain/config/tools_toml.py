"""What does the file of the tools say?"""

import re
from collections.abc import Callable, Mapping
from copy import replace
from typing import Final

from domain.config.sources_toml import is_local, read_address, read_networks
from domain.config.toml_table import VARIABLE, TomlTable, document
from domain.config.tool_rows.common import HEADER, RESERVED_HEADERS
from domain.config.tool_rows.http_tools import read_http_tool
from domain.config.tool_rows.mcp_tools import read_mcp_tool
from domain.errors import ConfigurationError
from domain.tools.catalog import CacheScope, LoopLimits, ServerAuth, ServerKind, ServerTool, ToolServer, ToolServers

LABEL: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
SETTING: Final = re.compile(r"[A-Z][A-Z0-9_]{2,}")
ENDPOINT: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")

MAX_APPROVAL_S: Final = 30 * 86_400

READ_TOOL: Final[Mapping[ServerKind, Callable[[str, TomlTable], ServerTool]]] = {
    ServerKind.HTTP: read_http_tool,
    ServerKind.MCP: read_mcp_tool,
}


def tools_from_toml(text: str, variables: Mapping[str, str], *, on_azure: bool) -> ToolServers:
    """Return the servers, `%NAME%` in their addresses replaced from the variables.

    A server whose variable or secret is not set is left out. Raises ConfigurationError that names every mistake.
    """
    top = document(text, "tools")
    known: dict[str, ToolServer] = {}
    unconfigured: set[str] = set()
    for label, table in top.tables("servers"):
        server = read_server(label, table, variables, on_azure=on_azure)
        lacks_secret = server.auth is ServerAuth.SETTING and not server.secret
        if VARIABLE.search(server.address) or lacks_secret:
            unconfigured.add(label)
        else:
            known[label] = server
    limits = read_limits(top.table("limits"))
    top.close()
    if top.problems:
        raise ConfigurationError(tuple(top.problems))
    return ToolServers(limits=limits, known=known, unconfigured=frozenset(unconfigured))


def read_limits(table: TomlTable) -> LoopLimits:
    known = LoopLimits()
    highest = {"max_rounds": 64, "max_tool_calls": 1000, "argument_bytes": 262_144, "approval_ttl_s": MAX_APPROVAL_S}
    found = {name: table.within(name, 1, high) for name, high in highest.items() if name in table.values}
    table.known |= highest.keys()
    table.close()
    return replace(known, **found)


def read_server(label: str, table: TomlTable, variables: Mapping[str, str], *, on_azure: bool) -> ToolServer:
    if not LABEL.fullmatch(label):
        table.problems.append(f"{table.path}: expected a label of a-z, 0-9 and -, at most 40 characters")
    kind = table.choice("kind", ServerKind)
    if kind is ServerKind.SOURCES:
        return read_source_server(label, table)
    auth = table.choice("auth", ServerAuth, ServerAuth.NONE)
    server = ToolServer(
        label=label,
        kind=kind,
        address=read_address(table, variables, on_azure=on_azure),
        description=table.text("description") if "description" in table.values else "",
        auth=auth,
        scope=table.text("scope") if auth in (ServerAuth.IDENTITY, ServerAuth.OBO) else "",
        secret=read_secret(table, variables) if auth is ServerAuth.SETTING else "",
        header=read_header(table, auth),
        tenants=frozenset(table.texts("tenants")),
        roles=frozenset(table.texts("roles")),
        private=table.flag("private", default=True),
        networks=read_networks(table),
        approvers=frozenset(table.texts("approvers")),
        four_eyes=table.flag("four_eyes", default=False),
        trusted=table.flag("trusted", default=False),
        tools={name: READ_TOOL[kind](name, each) for name, each in table.tables("tools")},
    )
    if kind is ServerKind.MCP:
        server = replace(
            server,
            path=read_endpoint(table),
            others=table.flag("others", default=False),
        )
    table.known |= {"description", "scope", "setting", "header"}
    table.close()
    check_server(server, table)
    return server


def read_source_server(label: str, table: TomlTable) -> ToolServer:
    """Read a server of our own: it has the tools of the file of the sources, and no address."""
    server = ToolServer(
        label=label,
        kind=ServerKind.SOURCES,
        address="",
        tools={},
        description=table.any_text("description", ""),
        tenants=frozenset(table.texts("tenants")),
        roles=frozenset(table.texts("roles")),
        trusted=table.flag("trusted", default=False),
        sources=table.texts("sources"),
    )
    table.close()
    return server


def read_endpoint(table: TomlTable) -> str:
    path = table.any_text("path", "/mcp")
    if not ENDPOINT.fullmatch(path) or ".." in path:
        table.report("path", "a path of plain segments, as /mcp")
    return path


def read_secret(table: TomlTable, variables: Mapping[str, str]) -> str:
    name = table.text("setting")
    if name and not SETTING.fullmatch(name):
        table.report("setting", "the name of a variable, as GANGLION_SHOP_KEY")
    return variables.get(name, "")


def read_header(table: TomlTable, auth: ServerAuth) -> str:
    header = table.text("header", "authorization").lower() if auth is ServerAuth.SETTING else "authorization"
    if not HEADER.fullmatch(header) or header in RESERVED_HEADERS:
        table.report("header", "the name of a header that may hold a secret")
    return header


def check_server(server: ToolServer, table: TomlTable) -> None:
    if not server.tools and not server.others:
        table.problems.append(f"{table.name_of('tools')}: expected at least one tool, found nothing")
    if server.four_eyes and not server.approvers:
        table.problems.append(f"{table.name_of('four_eyes')}: expected 'approvers' too: without a role, nobody decides")
    shared = [name for name, each in server.tools.items() if each.cache_scope is CacheScope.TENANT]
    if server.auth is ServerAuth.OBO and shared:
        table.problems.append(f"{table.name_of('tools')}.{shared[0]}.cache_scope: expected owner with auth obo")
    has_secret = server.auth is not ServerAuth.NONE
    if has_secret and not server.address.startswith("https://") and not is_local(server.address):
        table.problems.append(f"{table.name_of('url')}: expected https to send a secret to")
