"""What does an event say about the item that it opens, and about the result of a tool?"""

from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct

from domain.content.items import ItemKind


class ItemHeader(Struct, frozen=True, kw_only=True):
    """The fields of an item that are known when it opens; `domain.content.items.Item` explains them."""

    id: str
    kind: ItemKind = ItemKind.MESSAGE
    name: str = ""
    call_id: str = ""
    namespace: str = ""
    is_custom: bool = False
    server: str = ""
    round: int = 0
    approval: str = ""
    approves: bool = False


class ItemResult(Struct, frozen=True, kw_only=True):
    """What a server's tool gave: an output, or an error as an object of the API; see `Item.whole`.

    `images` are data URLs.
    """

    output: str | None = None
    error: Mapping[str, Any] | None = None
    whole: int = 0
    images: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        body: dict[str, Any] = {"o": self.output, "x": dict(self.error) if self.error else None}
        images = {"i": list(self.images)} if self.images else {}
        return body | ({"w": self.whole} if self.whole else {}) | images

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        images = tuple(body.get("i", ()))
        return cls(output=body["o"], error=body["x"], whole=body.get("w", 0), images=images)


def header_to_document(header: ItemHeader) -> dict[str, Any]:
    """Return the members of an event's document that describe the item; members that are empty are left out."""
    fields = {"h": [header.id, header.kind.value, header.name, header.call_id]}
    tools = (("sv", header.server), ("rd", header.round), ("ap", header.approval), ("yes", header.approves))
    more = (("ns", header.namespace), ("custom", header.is_custom), *tools)
    return fields | {name: value for name, value in more if value}


def header_from_document(body: Mapping[str, Any]) -> ItemHeader:
    identifier, kind, name, call_id = body["h"]
    return ItemHeader(
        id=identifier,
        kind=ItemKind(kind),
        name=name,
        call_id=call_id,
        namespace=body.get("ns", ""),
        is_custom=body.get("custom", False),
        server=body.get("sv", ""),
        round=body.get("rd", 0),
        approval=body.get("ap", ""),
        approves=body.get("yes", False),
    )
