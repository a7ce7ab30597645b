"""Which tools may the server run, how is each of them called, and who may use it?

The operator's file is the only source of addresses, credentials and effects. A caller names servers and tools, and may
restrict them further.
"""

from collections.abc import Mapping
from copy import replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from msgspec import Struct, field

from domain.identity.owners import Owner
from domain.sources.egress_policy import Network
from domain.values import Discreet


class ToolEffect(StrEnum):
    """What a call changes. A read is repeated freely; a write is repeated only under its key."""

    READ = "read"
    WRITE = "write"


class ToolApproval(StrEnum):
    NEVER = "never"
    ALWAYS = "always"


class ServerKind(StrEnum):
    """How a server is spoken to: the file describes its HTTP operations, it speaks MCP, or it is our own sources."""

    HTTP = "http"
    MCP = "mcp"
    SOURCES = "sources"


class ArgumentPlace(StrEnum):
    """Where an argument goes in the HTTP request."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"


class KeyPlace(StrEnum):
    """Where the idempotency key of a call goes."""

    HEADER = "header"
    ARGUMENT = "argument"


class HttpMethod(StrEnum):
    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"

    @property
    def has_body(self) -> bool:
        return self in (HttpMethod.POST, HttpMethod.PUT, HttpMethod.PATCH)


class OnUnknown(StrEnum):
    """What follows a call whose outcome is unknown.

    The model reads that it is unknown, or the turn fails, or it ends with the question whether to run the call again.
    """

    TELL = "tell"
    STOP = "stop"
    ASK = "ask"


class CacheScope(StrEnum):
    """Who shares the cached results of a read: the same owner only, or all owners of a tenant."""

    OWNER = "owner"
    TENANT = "tenant"


class ServerAuth(StrEnum):
    """How the app authenticates: not at all, as its managed identity, in its caller's name, or by a setting's value."""

    NONE = "none"
    IDENTITY = "identity"
    OBO = "obo"
    SETTING = "setting"


class ToolArgument(Struct, frozen=True, kw_only=True):
    """One argument of a tool; `schema` is its JSON schema."""

    name: str
    place: ArgumentPlace
    schema: Mapping[str, Any]
    required: bool = True


class IdempotencyKey(Struct, frozen=True, kw_only=True):
    """The header or argument by which the server recognizes a repeated call."""

    place: KeyPlace
    name: str


class ServerTool(Struct, frozen=True, kw_only=True):
    """One operation of a server.

    A tool of an MCP server has `parameters`, the JSON schema that the server gave; the fields from `method` to `fields`
    are those of HTTP. `path` may contain arguments in braces. `answer` is the path of names to the result in a JSON
    answer, and `fields` are the fields of an object, or of each object in a list, that are kept (empty: all). `tries`
    counts the requests of one call that fail without a result; each request costs `price` dollars. A request may be
    silent for `timeout_s` seconds, and lasts `progress_s` at most where its server reports progress. A result of a read
    is used again for `cache_s` seconds. A tool that reads private data has the most tokens of each of its
    `sources`, and returns `max_rows` at most (0: as many as they give). Only `tenants` have it (empty: all).
    """

    name: str
    description: str = ""
    method: HttpMethod = HttpMethod.POST
    path: str = ""
    arguments: tuple[ToolArgument, ...] = ()
    answer: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    effect: ToolEffect = ToolEffect.READ
    key: IdempotencyKey | None = None
    approval: ToolApproval = ToolApproval.NEVER
    parameters: Mapping[str, Any] | None = None
    timeout_s: float = 10.0
    progress_s: float = 0.0
    tries: int = 1
    max_result_tokens: int = 1000
    price: Decimal = Decimal(0)
    cache_s: float = 0.0
    cache_scope: CacheScope = CacheScope.OWNER
    on_unknown: OnUnknown = OnUnknown.TELL
    sources: Mapping[str, int] = field(default_factory=dict[str, int])
    max_rows: int = 0
    tenants: frozenset[str] = frozenset()

    @property
    def is_repeatable(self) -> bool:
        """Tell whether a call whose outcome is unknown may be sent again."""
        return self.effect is ToolEffect.READ or self.key is not None

    @property
    def longest_s(self) -> float:
        """The longest that one request may last."""
        return max(self.timeout_s, self.progress_s)

    @property
    def worst_cost(self) -> Decimal:
        """The most that one run of a call costs, in dollars."""
        return self.price * self.tries

    @property
    def input_schema(self) -> dict[str, Any]:
        if self.parameters is not None:
            return dict(self.parameters)
        return {
            "type": "object",
            "properties": {each.name: dict(each.schema) for each in self.arguments},
            "required": [each.name for each in self.arguments if each.required],
            "additionalProperties": False,
        }

    @property
    def annotations(self) -> dict[str, bool]:
        """The hints of MCP that follow from the file."""
        is_read = self.effect is ToolEffect.READ
        return {"readOnlyHint": is_read, "idempotentHint": is_read or self.key is not None}


def other_tool(name: str, effect: ToolEffect = ToolEffect.WRITE) -> ServerTool:
    """Return the rights of a tool that the file does not name."""
    approval = ToolApproval.NEVER if effect is ToolEffect.READ else ToolApproval.ALWAYS
    return ServerTool(name=name, effect=effect, approval=approval)


class ToolServer(Discreet, frozen=True, kw_only=True):
    """A server and its tools by name.

    `address` is scheme, host and port, and `path` the endpoint of an MCP server there. With `others`, the tools that it
    lists and the file does not name are writes that need an approval. `trusted`: its hint that one of them only reads
    is believed, and a model that has read its results may write without an approval. `scope` is that of the identity's
    token; `secret` is the value of a setting, sent in `header` as it is. `tenants` and `roles` may use the server;
    empty: all. `sources` are those that a server of this kind reads; empty: all that are tools. Callers with one of the
    roles `approvers` decide requests of turns that wait for approvals in place, beside the turn's owner; with
    `four_eyes`, the owner decides none.
    """

    concealed: ClassVar = ("secret",)

    label: str
    address: str
    tools: Mapping[str, ServerTool]
    kind: ServerKind = ServerKind.HTTP
    path: str = ""
    others: bool = False
    trusted: bool = False
    description: str = ""
    auth: ServerAuth = ServerAuth.NONE
    scope: str = ""
    secret: str = ""
    header: str = "authorization"
    tenants: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    private: bool = True
    networks: tuple[Network, ...] = ()
    approvers: frozenset[str] = frozenset()
    four_eyes: bool = False
    sources: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return f"{self.address}{self.path}"

    def rights(self, name: str) -> ServerTool | None:
        """Return what the file says of a tool that may be called. One that the file does not name may write."""
        return self.tools.get(name) or (other_tool(name) if self.others else None)

    def for_tenant(self, tenant: str) -> "ToolServer":
        """Return the server with the tools that a tenant may use."""
        if all(not each.tenants for each in self.tools.values()):
            return self
        tools = {name: each for name, each in self.tools.items() if not each.tenants or tenant in each.tenants}
        return replace(self, tools=tools)

    def is_open_to(self, owner: Owner) -> bool:
        in_tenant = not self.tenants or owner.tenant in self.tenants
        return in_tenant and (not self.roles or not self.roles.isdisjoint(owner.roles))


class LoopLimits(Struct, frozen=True, kw_only=True):
    """How many rounds of calls and how many calls a turn may make, and how large the arguments of a call may be.

    A request for an approval can be answered for `approval_ttl_s` seconds.
    """

    max_rounds: int = 10
    max_tool_calls: int = 64
    argument_bytes: int = 16_384
    approval_ttl_s: int = 604_800


class ToolServers(Struct, frozen=True, kw_only=True):
    """All servers by label. The servers in `unconfigured` lack a variable of the file and are disabled."""

    limits: LoopLimits = field(default_factory=LoopLimits)
    known: Mapping[str, ToolServer] = field(default_factory=dict[str, ToolServer])
    unconfigured: frozenset[str] = frozenset()

    def open_to(self, owner: Owner, label: str) -> ToolServer | None:
        """Return a server that the owner may use; an unknown server and another's are the same: None."""
        server = self.known.get(label)
        return server.for_tenant(owner.tenant) if server and server.is_open_to(owner) else None
