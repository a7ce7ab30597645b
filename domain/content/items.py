"""What are the items of a conversation, and how are they stored?"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, Self, override

from msgspec import Struct

from domain.content.custom_tools import flat_name, offered_name


class ItemKind(StrEnum):
    MESSAGE = "message"
    FUNCTION_CALL = "function_call"
    FUNCTION_OUTPUT = "function_output"
    REASONING = "reasoning"
    MCP_TOOLS = "mcp_list_tools"
    MCP_CALL = "mcp_call"
    FILE_SEARCH = "file_search_call"
    APPROVAL_REQUEST = "mcp_approval_request"
    APPROVAL_RESPONSE = "mcp_approval_response"


IMAGE_PLACEHOLDER: Final = "x" * 4096
"""The placeholder for an image in size estimates: about 1,000 tokens expected, 4,096 at most."""

SERVER_CALLS: Final = frozenset({ItemKind.MCP_CALL, ItemKind.FILE_SEARCH})
"""The calls of tools that the server runs."""


class Role(StrEnum):
    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"


class ItemStatus(StrEnum):
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


class ImageInput(Struct, frozen=True, kw_only=True, eq=False):
    """An image in a message or an output. It follows the first `at` characters of the text; `url` may be a data URL.

    `path` is its place in the request that brought it; it is not stored.
    """

    url: str
    detail: str = "auto"
    at: int = 0
    path: str = ""

    @property
    def stored(self) -> tuple[str, str, int]:
        return self.url, self.detail, self.at

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImageInput) and self.stored == other.stored

    @override
    def __ne__(self, other: object) -> bool:
        return not self == other

    @override
    def __hash__(self) -> int:
        return hash(self.stored)

    @property
    def is_data(self) -> bool:
        return self.url.startswith("data:")


class Item(Struct, frozen=True, kw_only=True):
    """One message, function call, function output, reasoning, list of a server's tools, or call of one of them.

    `text` is the message's text, the call's JSON arguments or the function's output. Only function calls and outputs
    have a `name` and a `call_id`; messages, outputs and results of tools that the server runs have `images`. A call of
    a tool in a namespace has that `namespace`; a call or an output `is_custom` where the tool takes a text. A message
    of the model can end with a `refusal`. The list and the calls of tools that the server runs have their `server`;
    `output` is the list as JSON or the call's result, `error` is the API's object. `whole` is how many characters the
    result had before it was cut; 0 where it was not. Calls that were made together have the same `round`; it is 0
    where no other round can follow.

    A request for an approval has the fields of its call. `approval` is the id of the request that an approved call or
    a response belongs to, or that a request is a copy of. A response has its reason as `text`, and `approves` or not.
    `read` are the labels of the servers whose results the model had read when it wrote a stored item.
    """

    id: str
    kind: ItemKind = ItemKind.MESSAGE
    role: Role = Role.ASSISTANT
    text: str = ""
    status: ItemStatus = ItemStatus.COMPLETED
    name: str = ""
    call_id: str = ""
    images: tuple[ImageInput, ...] = ()
    namespace: str = ""
    is_custom: bool = False
    refusal: str = ""
    server: str = ""
    output: str | None = None
    error: Mapping[str, Any] | None = None
    round: int = 0
    approval: str = ""
    approves: bool = False
    whole: int = 0
    read: tuple[str, ...] = ()

    @property
    def request_id(self) -> str:
        """The id of the request for an approval that the item is, or belongs to."""
        return self.approval or self.id

    @property
    def flat_name(self) -> str:
        """The name of the called function in requests to a backend."""
        return offered_name(self.name, self.server) if self.server else flat_name(self.name, self.namespace)

    @property
    def prompt_text(self) -> str:
        """The text that a model reads of the item, to count its tokens; see `recent_reasoning`."""
        if self.kind in (ItemKind.REASONING, ItemKind.MCP_TOOLS):
            return ""
        if self.kind in (ItemKind.FUNCTION_CALL, ItemKind.APPROVAL_REQUEST, *SERVER_CALLS):
            seen = IMAGE_PLACEHOLDER * len(self.images)
            return f'{{"name": "{self.flat_name}", "arguments": {self.text}}}{self.output or ""}{seen}'
        return self.text + self.refusal

    def parts(self) -> Iterator[str | ImageInput]:
        """Yield the texts and the images of a message or an output in their order."""
        start = 0
        for image in self.images:
            if self.text[start : image.at]:
                yield self.text[start : image.at]
            yield image
            start = image.at
        if self.text[start:]:
            yield self.text[start:]

    def to_document(self) -> dict[str, Any]:
        images = [[image.url, image.detail, image.at] for image in self.images]
        return {
            **({"images": images} if images else {}),
            **({"namespace": self.namespace} if self.namespace else {}),
            **({"custom": True} if self.is_custom else {}),
            **({"refusal": self.refusal} if self.refusal else {}),
            **({"server": self.server} if self.server else {}),
            **({} if self.output is None else {"output": self.output}),
            **({"error": dict(self.error)} if self.error else {}),
            **({"round": self.round} if self.round else {}),
            **({"approval": self.approval} if self.approval else {}),
            **({"approves": True} if self.approves else {}),
            **({"whole": self.whole} if self.whole else {}),
            **({"read": list(self.read)} if self.read else {}),
            "kind": "item",
            "v": 1,
            "item": self.kind.value,
            "role": self.role.value,
            "text": self.text,
            "item_status": self.status.value,
            "name": self.name,
            "call_id": self.call_id,
        }

    @classmethod
    def from_document(cls, identifier: str, body: Mapping[str, Any]) -> Self:
        return cls(
            id=identifier,
            kind=ItemKind(body["item"]),
            role=Role(body["role"]),
            text=body["text"],
            status=ItemStatus(body["item_status"]),
            name=body["name"],
            call_id=body["call_id"],
            images=tuple(ImageInput(url=url, detail=detail, at=at) for url, detail, at in body.get("images", ())),
            namespace=body.get("namespace", ""),
            is_custom=body.get("custom", False),
            refusal=body.get("refusal", ""),
            server=body.get("server", ""),
            output=body.get("output"),
            error=body.get("error"),
            round=body.get("round", 0),
            approval=body.get("approval", ""),
            approves=body.get("approves", False),
            whole=body.get("whole", 0),
            read=tuple(body.get("read", ())),
        )


def without_old_reasoning(items: Sequence[Item]) -> tuple[Item, ...]:
    """Return the items without the reasoning before the last message of the user, which no model needs again."""
    asked = max(
        (at for at, item in enumerate(items) if item.kind is ItemKind.MESSAGE and item.role is Role.USER), default=-1
    )
    return tuple(item for at, item in enumerate(items) if at > asked or item.kind is not ItemKind.REASONING)


def recent_reasoning(items: Sequence[Item]) -> tuple[str, ...]:
    """Return the texts of the reasoning that a model may read again: that since the last message of the user."""
    return tuple(item.text for item in without_old_reasoning(items) if item.kind is ItemKind.REASONING)
