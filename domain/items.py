"""What is a conversation made of?"""

from collections.abc import Mapping
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
class Item:
    """One message, function call, function output or reasoning.

    `text` is the message's text, the call's JSON arguments or the function's output; `name` and `call_id` belong to
    function calls and outputs alone.
    """

    id: str
    kind: ItemKind = ItemKind.MESSAGE
    role: Role = Role.ASSISTANT
    text: str = ""
    status: ItemStatus = ItemStatus.COMPLETED
    name: str = ""
    call_id: str = ""

    def to_document(self) -> dict[str, Any]:
        return {
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
        )
