"""Which of the tools that a server lists may be offered: named in the file, usable, and as they were accepted?

A server writes its list itself and can change it at any time. So a tool's name, description and schema are pinned by
their hash; a tool that has changed is not offered until an operator accepts it.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import replace
from typing import Any, Final, cast

from msgspec import Struct, field

from domain.content.json_schema import NAMED_KEYWORDS, children, list_at, table_at
from domain.content.tools import FunctionTool
from domain.content.untrusted_text import without_control
from domain.tools.catalog import KeyPlace, ServerTool, ToolEffect, ToolServer, other_tool
from domain.tools.listings.schemas import schema_fault

TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
MAX_TOOLS: Final = 128
MAX_DESCRIPTION: Final = 4096
MAX_SCHEMA_BYTES: Final = 16_384
MAX_DEPTH: Final = 24
MAX_REASONS: Final = 500
"""Bounds of what a server may tell about its tools, in tools, characters, bytes, levels and characters."""

MAX_LIST_BYTES: Final = 262_144
"""The bytes that all tools of a server may have together: each turn stores them, and its model reads them."""

WORDS: Final = ("title", "description")

CHANGED: Final = "it has changed since it was accepted; an operator has to accept it"
LIST_TOO_LONG: Final = f"it and the tools before it have more than {MAX_LIST_BYTES} bytes together"
NOT_LISTED: Final = "the server does not list it"


class ListedTool(Struct, frozen=True, kw_only=True):
    """A tool as its server describes it. `reads_only` is the server's own hint."""

    name: str
    description: str
    schema: Mapping[str, Any]
    reads_only: bool = False

    @property
    def fingerprint(self) -> str:
        """The hash by which a change is noticed, of what the model reads: 32 hexadecimal digits."""
        return hashlib.sha256(self.words).hexdigest()[:32]

    @property
    def words(self) -> bytes:
        """What the model reads of the tool, and what the server says that it does."""
        hints = ["reads only"] if self.reads_only else []
        words = [self.name, self.description, self.schema, *hints]
        return json.dumps(words, sort_keys=True).encode(errors="surrogatepass")


class ToolListing(Struct, frozen=True, kw_only=True):
    """What a server lists; `problem` tells why there is no list. It is used for `fresh_s` seconds.

    `is_public`: the server gives everybody this list.
    """

    tools: tuple[ListedTool, ...] = ()
    problem: str = ""
    fresh_s: float = 0.0
    is_public: bool = False


class ListedServer(Struct, frozen=True, kw_only=True):
    """A server with the tools that may be offered, why others of the file are not, and why there is no list."""

    server: ToolServer
    held_back: Mapping[str, str] = field(default_factory=dict[str, str])
    problem: str = ""

    @property
    def told(self) -> str:
        """The names of the tools that are held back, with the reasons; empty where there are none."""
        listed = "; ".join(f"{name}: {reason}" for name, reason in self.held_back.items())
        return self.problem or (f"Not offered: {listed[:MAX_REASONS]}." if listed else "")


def offered_function(server: ToolServer, tool: ServerTool, *, needs_approval: bool = False) -> FunctionTool:
    """Return the function by which a tool of a server is offered to a model."""
    return FunctionTool(
        name=tool.name,
        description=tool.description,
        parameters=tool.input_schema,
        server=server.label,
        writes=tool.effect is ToolEffect.WRITE,
        needs_approval=needs_approval,
        target=target_of(server, tool),
    )


def target_of(server: ToolServer, tool: ServerTool) -> str:
    """Return a hash of where and how a tool is called: 16 hexadecimal digits."""
    places = [[each.name, each.place.value] for each in tool.arguments]
    key = [tool.key.place.value, tool.key.name] if tool.key else []
    words = [server.kind.value, server.url, tool.method.value, tool.path, places, key]
    return hashlib.sha256(json.dumps(words).encode(errors="surrogatepass")).hexdigest()[:16]


def usable_tools(server: ToolServer, listing: ToolListing) -> Mapping[str, ListedTool]:
    """Return the listed tools that the file allows and that can be offered, by name."""
    allowed = (each for each in listing.tools[:MAX_TOOLS] if server.others or each.name in server.tools)
    return {tool.name: tool for tool in within_size(each for each in allowed if not unusable_reason(each))}


def within_size(tools: Iterable[ListedTool]) -> Iterator[ListedTool]:
    """Yield the first tools, as many as have at most `MAX_LIST_BYTES` together."""
    room = MAX_LIST_BYTES
    for tool in tools:
        room -= len(tool.words)
        if room < 0:
            return
        yield tool


def fingerprints(tools: Iterable[ListedTool]) -> Mapping[str, str]:
    return {tool.name: tool.fingerprint for tool in tools}


def listed_server(server: ToolServer, listing: ToolListing, pins: Mapping[str, str]) -> ListedServer:
    """Return what may be offered of a server; `pins` are the accepted fingerprints by name."""
    usable = usable_tools(server, listing)
    known = {tool.name: tool for tool in listing.tools}
    held_back: dict[str, str] = {}
    offered: dict[str, ServerTool] = {}
    for name in (*server.tools, *(name for name in usable if name not in server.tools)):
        tool = usable.get(name)
        if tool is None:
            held_back[name] = (unusable_reason(known[name]) or LIST_TOO_LONG) if name in known else NOT_LISTED
        elif pins.get(name) != tool.fingerprint:
            held_back[name] = CHANGED
        else:
            offered[name] = described(server, tool)
    return ListedServer(server=replace(server, tools=offered), held_back=held_back)


def described(server: ToolServer, tool: ListedTool) -> ServerTool:
    """Return a listed tool with the rights that the file gives it, or those of the tools that it does not name."""
    hint = ToolEffect.READ if server.trusted and tool.reads_only else ToolEffect.WRITE
    rights = server.tools.get(tool.name) or other_tool(tool.name, hint)
    parameters = cast("Mapping[str, Any]", harmless(model_schema(rights, tool.schema)))
    return replace(rights, description=without_control(tool.description), parameters=parameters)


def harmless(schema: Any) -> Any:
    """Return a schema whose titles and descriptions have no control tokens; depth is bounded by `schema_reasons`."""
    if isinstance(schema, list):
        return [harmless(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    rules = cast("dict[str, Any]", schema)
    return {name: harmless_keyword(name, value) for name, value in rules.items()}


def harmless_keyword(name: str, value: Any) -> Any:
    """Return the value of a keyword. A schema under a name becomes a table, as backends want it, where it is a bool."""
    if name in WORDS and isinstance(value, str):
        return without_control(value)
    if name in NAMED_KEYWORDS and isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        return {key: TABLES[each] if isinstance(each, bool) else harmless(each) for key, each in named.items()}
    return harmless(value)


TABLES: Final[Mapping[bool, Mapping[str, Any]]] = {True: {}, False: {"not": {}}}
"""The schemas that mean the same as `true` and `false`."""


def model_schema(rights: ServerTool, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema without the argument that holds the key of a call: the product gives it, not the model."""
    if rights.key is None or rights.key.place is not KeyPlace.ARGUMENT:
        return schema
    key = rights.key.name
    properties = table_at(schema, "properties").items()
    required = [name for name in list_at(schema, "required") if name != key]
    return {**schema, "properties": {name: each for name, each in properties if name != key}, "required": required}


def unusable_reason(tool: ListedTool) -> str:
    """Return why a tool can't be offered as its server describes it; empty where it can."""
    if not TOOL_NAME.fullmatch(tool.name):
        return "its name has other characters than letters, digits, _, - and ., or more than 128"
    if len(tool.description) > MAX_DESCRIPTION:
        return f"its description has more than {MAX_DESCRIPTION} characters"
    if tool.schema.get("type") != "object":
        return "its schema is not that of an object"
    return next(schema_reasons(tool.schema), "")


def schema_reasons(schema: Mapping[str, Any]) -> Iterator[str]:
    level: list[Any] = [schema]
    for _ in range(MAX_DEPTH):
        if any(is_remote(each) for each in level):
            yield "its schema refers to another document"
        level = [child for each in level for child in children(each)]
        if not level:
            break
    else:
        yield f"its schema has more than {MAX_DEPTH} levels"
        return
    if len(json.dumps(schema).encode()) > MAX_SCHEMA_BYTES:
        yield f"its schema has more than {MAX_SCHEMA_BYTES} bytes"
        return
    if fault := schema_fault(schema):
        yield fault


def is_remote(value: Any) -> bool:
    """Tell whether a schema refers to something outside itself, which nothing here ever fetches."""
    if not isinstance(value, dict):
        return False
    body = cast("dict[str, Any]", value)
    references = (body.get(name) for name in ("$ref", "$dynamicRef", "$recursiveRef"))
    return any(isinstance(each, str) and not each.startswith("#") for each in references)
