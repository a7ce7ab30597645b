"""Which fields has a tool of any kind of server: its rights, its limits and its price?"""

import re
from decimal import Decimal
from typing import Final

from domain.config.toml_table import TomlTable
from domain.tools.catalog import (
    CacheScope,
    IdempotencyKey,
    KeyPlace,
    OnUnknown,
    ServerTool,
    ToolApproval,
    ToolEffect,
)

TOOL: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}")
ARGUMENT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
KEY_NAMES: Final = {KeyPlace.HEADER: HEADER, KeyPlace.ARGUMENT: ARGUMENT}
RESERVED_HEADERS: Final = ("host", "content-length", "content-type", "connection", "transfer-encoding")
TRIES_LIMIT: Final = 5
CACHE_LIMIT_S: Final = 3600

DEFAULT_APPROVAL: Final = {ToolEffect.READ: ToolApproval.NEVER, ToolEffect.WRITE: ToolApproval.ALWAYS}


def read_common(name: str, table: TomlTable) -> ServerTool:
    """Read the fields that do not depend on the kind of the server."""
    if not TOOL.fullmatch(name):
        table.problems.append(f"{table.path}: expected a name of letters, digits, _, - and ., at most 128 characters")
    effect = table.choice("effect", ToolEffect)
    tool = ServerTool(
        name=name,
        effect=effect,
        key=read_key(table),
        approval=table.choice("approval", ToolApproval, DEFAULT_APPROVAL[effect]),
        timeout_s=table.above_zero("timeout_s", 10.0),
        tries=table.within("tries", 1, TRIES_LIMIT) if "tries" in table.values else 1,
        max_result_tokens=table.whole("max_result_tokens", 1000),
        price=table.amount("price", Decimal(0)),
        cache_s=table.number("cache_s", 0.0),
        cache_scope=table.choice("cache_scope", CacheScope, CacheScope.OWNER),
        on_unknown=table.choice("on_unknown", OnUnknown, OnUnknown.TELL),
    )
    table.known.add("tries")
    check_common(tool, table)
    return tool


def check_common(tool: ServerTool, table: TomlTable) -> None:
    if tool.tries > 1 and not tool.is_repeatable:
        table.report("tries", "1 for a write without an idempotency key")
    if tool.cache_s and tool.effect is ToolEffect.WRITE:
        table.report("cache_s", "0 for a write: its result is never used again")
    if tool.cache_s > CACHE_LIMIT_S:
        table.report("cache_s", f"at most {CACHE_LIMIT_S} seconds")


def read_key(table: TomlTable) -> IdempotencyKey | None:
    """Read `none`, `header:<name>` or `argument:<name>`."""
    text = table.text("idempotency", "none")
    if text == "none":
        return None
    place, _, name = text.partition(":")
    if place == KeyPlace.HEADER and name.lower() in RESERVED_HEADERS:
        table.report("idempotency", f"a header that the client does not set itself (not {', '.join(RESERVED_HEADERS)})")
    elif place in KEY_NAMES and KEY_NAMES[KeyPlace(place)].fullmatch(name):
        return IdempotencyKey(place=KeyPlace(place), name=name)
    else:
        table.report("idempotency", "none, header:<name> or argument:<name>")
    return None
