"""What does the file of the tools say?"""

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from domain.config.argument_schemas import schema_problems
from domain.config.sources_toml import is_local, read_address, read_networks
from domain.config.toml_table import VARIABLE, TomlTable, document, plain_table
from domain.errors import ConfigurationError
from domain.tools.catalog import (
    ArgumentPlace,
    CacheScope,
    HttpMethod,
    IdempotencyKey,
    KeyPlace,
    LoopLimits,
    OnUnknown,
    ServerAuth,
    ServerTool,
    ToolApproval,
    ToolArgument,
    ToolEffect,
    ToolServer,
    ToolServers,
)

LABEL: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
TOOL: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}")
ARGUMENT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
SETTING: Final = re.compile(r"[A-Z][A-Z0-9_]{2,}")
PATH: Final = re.compile(r"(/([A-Za-z0-9._~-]+|\{[A-Za-z][A-Za-z0-9_-]*\}))*")
IN_BRACES: Final = re.compile(r"\{([^}]*)\}")
RESERVED_HEADERS: Final = frozenset({"host", "content-length", "content-type", "connection", "transfer-encoding"})
TRIES_LIMIT: Final = 5
CACHE_LIMIT_S: Final = 3600


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
    highest = {"max_rounds": 64, "max_tool_calls": 1000, "argument_bytes": 262_144}
    found = {name: table.within(name, 1, high) for name, high in highest.items() if name in table.values}
    table.known |= highest.keys()
    table.close()
    return replace(known, **found)


def read_server(label: str, table: TomlTable, variables: Mapping[str, str], *, on_azure: bool) -> ToolServer:
    if not LABEL.fullmatch(label):
        table.problems.append(f"{table.path}: expected a label of a-z, 0-9 and -, at most 40 characters")
    check_kind(table)
    auth = table.choice("auth", ServerAuth, ServerAuth.NONE)
    server = ToolServer(
        label=label,
        address=read_address(table, variables, on_azure=on_azure),
        description=table.text("description") if "description" in table.values else "",
        auth=auth,
        scope=table.text("scope") if auth is ServerAuth.IDENTITY else "",
        secret=read_secret(table, variables) if auth is ServerAuth.SETTING else "",
        header=read_header(table, auth),
        tenants=frozenset(table.texts("tenants")),
        roles=frozenset(table.texts("roles")),
        private=table.flag("private", default=True),
        networks=read_networks(table),
        tools={name: read_tool(name, each) for name, each in table.tables("tools")},
    )
    table.known |= {"description", "scope", "setting", "header"}
    table.close()
    check_server(server, table)
    return server


def check_kind(table: TomlTable) -> None:
    """Kinds and credentials of later releases are named, so that they are not taken for spelling mistakes."""
    table.known.add("kind")
    kind = table.values.get("kind")
    if kind in {"mcp", "sources"}:
        table.problems.append(
            f"{table.name_of('kind')}: this release runs servers of the kind http only, found {kind!r}"
        )
    elif kind != "http":
        table.report("kind", "http")
    if table.values.get("auth") == "obo":
        table.problems.append(f"{table.name_of('auth')}: this release cannot call a tool with the caller's own rights")
        table.values["auth"] = ServerAuth.NONE.value


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
    if not server.tools:
        table.problems.append(f"{table.name_of('tools')}: expected at least one tool, found nothing")
    has_secret = server.auth is not ServerAuth.NONE
    if has_secret and not server.address.startswith("https://") and not is_local(server.address):
        table.problems.append(f"{table.name_of('url')}: expected https to send a secret to")


def read_tool(name: str, table: TomlTable) -> ServerTool:
    if not TOOL.fullmatch(name):
        table.problems.append(f"{table.path}: expected a name of letters, digits, _, - and ., at most 128 characters")
    method = table.choice("method", HttpMethod)
    arguments = tuple(read_argument(each, part, method) for each, part in table.tables("arguments"))
    effect = table.choice("effect", ToolEffect)
    tool = ServerTool(
        name=name,
        description=table.text("description"),
        method=method,
        path=read_path(table, arguments),
        arguments=arguments,
        answer=table.texts("answer"),
        fields=table.texts("fields"),
        effect=effect,
        key=read_key(table),
        approval=table.choice("approval", ToolApproval, DEFAULT_APPROVAL[effect]),
        timeout_s=table.above_zero("timeout_s", 10.0),
        tries=table.within("tries", 1, TRIES_LIMIT) if "tries" in table.values else 1,
        max_result_tokens=table.whole("max_result_tokens", 1000),
        price=table.amount("price", Decimal(0)),
        cache_s=table.number("cache_s", 0.0),
        cache_scope=table.choice("cache_scope", CacheScope, CacheScope.OWNER),
        on_unknown=read_on_unknown(table),
    )
    table.known.add("tries")
    table.close()
    check_tool(tool, table)
    return tool


DEFAULT_APPROVAL: Final = {ToolEffect.READ: ToolApproval.NEVER, ToolEffect.WRITE: ToolApproval.ALWAYS}


def check_tool(tool: ServerTool, table: TomlTable) -> None:
    if tool.tries > 1 and not tool.is_repeatable:
        table.report("tries", "1 for a write without an idempotency key")
    if tool.key and tool.key.place is KeyPlace.ARGUMENT and tool.key.name in {each.name for each in tool.arguments}:
        table.report("idempotency", "an argument that the model does not give")
    if tool.cache_s and tool.effect is ToolEffect.WRITE:
        table.report("cache_s", "0 for a write: its result is never used again")
    if tool.cache_s > CACHE_LIMIT_S:
        table.report("cache_s", f"at most {CACHE_LIMIT_S} seconds")
    if tool.effect is ToolEffect.WRITE and tool.method is HttpMethod.GET:
        table.report("method", "another method than GET for a write")


def read_on_unknown(table: TomlTable) -> OnUnknown:
    if table.values.get("on_unknown") == "ask":
        table.problems.append(f"{table.name_of('on_unknown')}: this release has no approvals; set it to tell or stop")
        table.values["on_unknown"] = OnUnknown.TELL.value
    return table.choice("on_unknown", OnUnknown, OnUnknown.TELL)


def read_argument(name: str, table: TomlTable, method: HttpMethod) -> ToolArgument:
    if not ARGUMENT.fullmatch(name):
        table.problems.append(f"{table.path}: expected a name of letters, digits, _ and -, at most 64 characters")
    default = ArgumentPlace.BODY if method.has_body else ArgumentPlace.QUERY
    place = table.choice("in", ArgumentPlace, default)
    if place is ArgumentPlace.BODY and not method.has_body:
        table.report("in", f"path or query, for {method} has no body")
    schema = table.values.get("schema", {"type": "string"})
    table.known.add("schema")
    table.problems.extend(schema_problems(schema, table.name_of("schema")))
    argument = ToolArgument(
        name=name,
        place=place,
        schema=plain_table(schema) or {},
        required=table.flag("required", default=True),
    )
    table.close()
    return argument


def read_path(table: TomlTable, arguments: tuple[ToolArgument, ...]) -> str:
    """Return a path whose arguments in braces are exactly the required ones with the place `path`."""
    path = table.text("path")
    if not PATH.fullmatch(path) or ".." in path:
        table.report("path", "a path of plain segments and arguments in braces, as /v1/orders/{number}")
    named, placed = IN_BRACES.findall(path), [each for each in arguments if each.place is ArgumentPlace.PATH]
    if sorted(named) != sorted(each.name for each in placed):
        table.report("path", 'each argument with in = "path" once, in braces')
    if optional := next((each.name for each in placed if not each.required), None):
        table.problems.append(f"{table.name_of('arguments')}.{optional}.required: expected true in a path, found False")
    return path


def read_key(table: TomlTable) -> IdempotencyKey | None:
    """Read `none`, `header:<name>` or `argument:<name>`."""
    text = table.text("idempotency", "none")
    if text == "none":
        return None
    place, _, name = text.partition(":")
    pattern = (
        {KeyPlace.HEADER: HEADER, KeyPlace.ARGUMENT: ARGUMENT}.get(KeyPlace(place)) if place in set(KeyPlace) else None
    )
    if pattern is None or not pattern.fullmatch(name) or name.lower() in RESERVED_HEADERS:
        table.report("idempotency", "none, header:<name> or argument:<name>")
        return None
    return IdempotencyKey(place=KeyPlace(place), name=name)
