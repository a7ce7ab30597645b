"""What are the items of a conversation, and how are they stored?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class ItemKind(StrEnum):
    MESSAGE = "message"
    FUNCTION_CALL = "function_call"
    FUNCTION_OUTPUT = "function_output"
    REASONING = "reasoning"


class Role(StrEnum):
    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"


class ItemStatus(StrEnum):
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """An image in a message. It follows the first `at` characters of the text; `url` may be a data URL."""

    url: str
    detail: str = "auto"
    at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One message, function call, function output or reasoning.

    `text` is the message's text, the call's JSON arguments or the function's output; Only function calls and
    outputs have a `name` and a `call_id`; only messages have `images`.
    """

    id: str
    kind: ItemKind = ItemKind.MESSAGE
    role: Role = Role.ASSISTANT
    text: str = ""
    status: ItemStatus = ItemStatus.COMPLETED
    name: str = ""
    call_id: str = ""
    images: tuple[ImageInput, ...] = ()

    def parts(self) -> Iterator[str | ImageInput]:
        """Yield the texts and the images of a message in their order."""
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
        )
