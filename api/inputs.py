"""What did the caller add to the conversation?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import AliasChoices, BeforeValidator, Field

from api.validation import Part, validated, wrong_type
from domain.errors import Invalid
from domain.items import Item, ItemKind, ItemStatus, Role

ITEMS_LIMIT = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Stands for an item that is stored already; `index` is its place in the input."""

    id: str
    index: int


type Given = Item | Reference
"""An item without an id yet, or a reference to one."""


def as_parts(content: Any) -> Any:
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else content


class TextPart(Part):
    type: Literal["input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text"]
    text: str = Field(validation_alias=AliasChoices("text", "refusal"))


type Content = Annotated[list[TextPart], BeforeValidator(as_parts)]


class MessageInput(Part):
    role: Literal["user", "assistant", "system", "developer"]
    content: Content
    status: Literal["in_progress", "completed", "incomplete"] | None = None

    def item(self) -> Item:
        status = ItemStatus.INCOMPLETE if self.status == "incomplete" else ItemStatus.COMPLETED
        return Item(id="", role=Role(self.role), text=joined(self.content), status=status)


class FunctionCallInput(Part):
    call_id: str = Field(min_length=1, max_length=256)
    name: str = Field(min_length=1, max_length=256)
    arguments: str

    def item(self) -> Item:
        kind = ItemKind.FUNCTION_CALL
        return Item(id="", kind=kind, text=self.arguments, name=self.name, call_id=self.call_id)


class FunctionOutputInput(Part):
    call_id: str = Field(min_length=1, max_length=256)
    output: Content

    def item(self) -> Item:
        kind = ItemKind.FUNCTION_OUTPUT
        return Item(id="", kind=kind, role=Role.USER, text=joined(self.output), call_id=self.call_id)


class ReasoningInput(Part):
    summary: list[TextPart] = Field(default_factory=list[TextPart])
    content: list[TextPart] | None = None

    def item(self) -> Item:
        return Item(id="", kind=ItemKind.REASONING, text=joined([*self.summary, *(self.content or ())]))


class ReferenceInput(Part):
    id: str = Field(min_length=1, max_length=256)


type Shape = type[MessageInput | FunctionCallInput | FunctionOutputInput | ReasoningInput]

SHAPES: Mapping[str, Shape] = {
    "message": MessageInput,
    "function_call": FunctionCallInput,
    "function_call_output": FunctionOutputInput,
    "reasoning": ReasoningInput,
}

REFERENCE = "item_reference"


def joined(parts: list[TextPart]) -> str:
    return "".join(part.text for part in parts)


def read_input(value: Any) -> tuple[Given, ...]:
    """Read the field `input`: a text, or items in the order of the conversation."""
    if isinstance(value, str):
        return (Item(id="", role=Role.USER, text=value),)
    if not isinstance(value, list):
        raise wrong_type("input", "a string or an array of items", value)
    elements = cast("list[Any]", value)
    if not 1 <= len(elements) <= ITEMS_LIMIT:
        message = f"Invalid 'input': expected 1 to {ITEMS_LIMIT} items, but got {len(elements)}."
        raise Invalid(message, field="input", code="invalid_value")
    return tuple(read_item(element, index) for index, element in enumerate(elements))


def read_item(value: Any, index: int) -> Given:
    if not isinstance(value, dict):
        raise wrong_type(f"input[{index}]", "an object", value)
    kind = kind_of(cast("dict[str, Any]", value))
    if kind == REFERENCE:
        return Reference(id=validated(ReferenceInput, value, "input", index).id, index=index)
    shape = SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None:
        path = f"input[{index}].type"
        message = f"Invalid value for '{path}': supported values are {', '.join((*SHAPES, REFERENCE))}."
        raise Invalid(message, field=path, code="invalid_value")
    return validated(shape, value, "input", index).item()


type Guess = Callable[[Mapping[str, Any]], bool]

GUESSES: Mapping[str, Guess] = {
    "message": lambda item: "role" in item,
    REFERENCE: lambda item: set(item) <= {"id", "type"} and "id" in item,
}
"""What an item without a type is taken for."""


def kind_of(item: Mapping[str, Any]) -> object:
    if item.get("type") is not None:
        return item["type"]
    return next((kind for kind, guess in GUESSES.items() if guess(item)), "message")
