"""Which interface has a connector to a server of tools?"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Final, Protocol

from msgspec import Struct

from domain.identity.owners import Owner
from domain.tools.catalog import ServerAuth, ServerTool, ToolServer
from domain.tools.listings.listing import ToolListing
from domain.values import Discreet


class CallFailure(StrEnum):
    """How far a call came that gave no answer: whether it can have had an effect."""

    NOT_SENT = "not_sent"
    NO_ANSWER = "no_answer"


class ToolError(Exception):
    """A call gave no answer. The message is safe to show: it has nothing of the server."""

    def __init__(self, failure: CallFailure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


class AnsweredBy(StrEnum):
    """Who answered: HTTP with a status, the tool itself with its own failure, or MCP with an error of JSON-RPC."""

    HTTP = "http"
    TOOL = "tool"
    PROTOCOL = "protocol"


class TaskStatus(StrEnum):
    """How far a task is. `lost`: its server does not know it any more."""

    WORKING = "working"
    INPUT_REQUIRED = "input_required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


class ToolTask(Struct, frozen=True, kw_only=True):
    """A call that the server goes on with after its answer. It is asked for every `poll_s` seconds at most.

    It is kept for `ttl_s` seconds from its creation, None where the server sets no limit.
    """

    id: str
    status: TaskStatus = TaskStatus.WORKING
    poll_s: float = 1.0
    ttl_s: float | None = None


class ToolAnswer(Struct, frozen=True, kw_only=True):
    """A server's answer: `text` is the result, or the text of an error. With a `task` there is no result yet.

    `status` is an HTTP status, or the code of an error of JSON-RPC. `images` are data URLs.
    """

    status: int
    text: str
    by: AnsweredBy = AnsweredBy.HTTP
    images: tuple[str, ...] = ()
    task: ToolTask | None = None

    @property
    def is_success(self) -> bool:
        return self.by is AnsweredBy.HTTP and 200 <= self.status < 300  # noqa: PLR2004 - HTTP's classes


class Credential(Discreet, frozen=True, kw_only=True):
    """In whose name a server is asked: `holder` names the caller, and is empty where it is the app itself.

    `token` is one of the caller, empty where it has none any more.
    """

    concealed: ClassVar = ("token",)

    holder: str = ""
    token: str = ""


AS_APP: Final = Credential()


def in_name_of(owner: Owner, server: ToolServer, token: str) -> Credential:
    """Return the credential of a server's request: the caller's where the server wants it, else the app's."""
    if server.auth is not ServerAuth.OBO:
        return AS_APP
    return Credential(holder=f"{owner.tenant}/{owner.subject}", token=token)


class ToolRequest(Discreet, frozen=True, kw_only=True):
    """One request of a call of an owner's turn. `key` identifies the call, however often it is sent.

    `grant` is a token of the owner, where the server is called in its name.
    `on_progress` is called for each sign of life that the server sends before its answer.
    With `task`, the id of one, nothing is called: the server is asked how far it is, or cancels it (`cancels`).
    """

    concealed: ClassVar = ("grant",)

    server: ToolServer
    tool: ServerTool
    arguments: Mapping[str, Any]
    key: str
    owner: Owner
    grant: str = ""
    on_progress: Callable[[], None] = lambda: None
    task: str = ""
    cancels: bool = False

    @property
    def credential(self) -> Credential:
        return in_name_of(self.owner, self.server, self.grant)


class ToolLister(Protocol):
    """Asks servers for their tools."""

    async def listing(self, server: ToolServer, credential: Credential = AS_APP) -> ToolListing:
        """Return what a server lists, which may be a while old. It never raises: a problem is in the listing."""
        ...


class ToolCaller(Protocol):
    """Calls tools."""

    async def call(self, request: ToolRequest) -> ToolAnswer:
        """Send one request and return its answer. Raises ToolError."""
        ...


class ToolConnector(ToolCaller, ToolLister, Protocol):
    """Calls the tools of configured servers, and lists those of servers that list them."""
