"""Which items does the caller add to the conversation?"""

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import AliasChoices, BeforeValidator, Discriminator, Field, StringConstraints, Tag

from api.http.validation import RequestPart, validated, wrong_type
from domain.content.items import ImageInput, Item, ItemKind, ItemStatus, Role
from domain.errors import Invalid

ITEMS_LIMIT = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReference:
    """A reference to a stored item; `index` is its place in the input."""

    id: str
    index: int


type InputItem = Item | ItemReference
"""An item without an id yet, or a reference to one."""


def as_parts(content: Any) -> Any:
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else content


class TextPart(RequestPart):
    type: Literal["input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text"]
    text: str = Field(validation_alias=AliasChoices("text", "refusal"))


type ImageUrl = Annotated[str, StringConstraints(pattern=r"^(https://|data:image/)")]


class ImagePart(RequestPart):
    type: Literal["input_image"]
    image_url: ImageUrl
    detail: Literal["auto", "low", "high"] | None = None


def tag_of(part: Any) -> str:
    kind: object = cast("dict[str, Any]", part).get("type") if isinstance(part, dict) else getattr(part, "type", None)
    return IMAGE if kind == "input_image" else TEXT


TEXT, IMAGE = "[text]", "[image]"

type AnyPart = Annotated[Annotated[TextPart, Tag(TEXT)] | Annotated[ImagePart, Tag(IMAGE)], Discriminator(tag_of)]
type Content = Annotated[list[TextPart], BeforeValidator(as_parts)]
type VisualContent = Annotated[list[AnyPart], BeforeValidator(as_parts)]


class MessageInput(RequestPart):
    role: Literal["user", "assistant", "system", "developer"]
    content: VisualContent
    status: Literal["in_progress", "completed", "incomplete"] | None = None

    def item(self) -> Item:
        status = ItemStatus.INCOMPLETE if self.status == "incomplete" else ItemStatus.COMPLETED
        text, images = text_and_images(self.content)
        return Item(id="", role=Role(self.role), text=text, status=status, images=images)


class FunctionCallInput(RequestPart):
    call_id: str = Field(min_length=1, max_length=256)
    name: str = Field(min_length=1, max_length=256)
    arguments: str

    def item(self) -> Item:
        kind = ItemKind.FUNCTION_CALL
        return Item(id="", kind=kind, text=self.arguments, name=self.name, call_id=self.call_id)


class FunctionOutputInput(RequestPart):
    call_id: str = Field(min_length=1, max_length=256)
    output: Content

    def item(self) -> Item:
        kind = ItemKind.FUNCTION_OUTPUT
        return Item(id="", kind=kind, role=Role.USER, text=joined(self.output), call_id=self.call_id)


class ReasoningInput(RequestPart):
    summary: list[TextPart] = Field(default_factory=list[TextPart])
    content: list[TextPart] | None = None

    def item(self) -> Item:
        return Item(id="", kind=ItemKind.REASONING, text=joined([*self.summary, *(self.content or ())]))


class CompactionInput(RequestPart):
    encrypted_content: str

    def item(self) -> Item:
        return Item(id="", role=Role.USER, text=SUMMARY_HEADING + decompressed(self.encrypted_content))


class ReferenceInput(RequestPart):
    id: str = Field(min_length=1, max_length=256)


type Shape = type[MessageInput | FunctionCallInput | FunctionOutputInput | ReasoningInput | CompactionInput]

SHAPES: Mapping[str, Shape] = {
    "message": MessageInput,
    "function_call": FunctionCallInput,
    "function_call_output": FunctionOutputInput,
    "reasoning": ReasoningInput,
    "compaction": CompactionInput,
}

REFERENCE = "item_reference"


SUMMARY_HEADING = "What was said before, summed up:\n"
SUMMARY_LIMIT = 1_000_000


def compressed(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode())).decode()


def decompressed(content: str) -> str:
    """Return the summary of a compaction item; raises Invalid where this service did not issue it."""
    try:
        decompressor = zlib.decompressobj()
        text = decompressor.decompress(base64.b64decode(content, validate=True), SUMMARY_LIMIT).decode()
    except (ValueError, zlib.error):
        message = "Invalid 'encrypted_content': this compaction item was not issued by this service."
        raise Invalid(message, field="encrypted_content", code="invalid_value") from None
    return text


def text_and_images(parts: Sequence[TextPart | ImagePart]) -> tuple[str, tuple[ImageInput, ...]]:
    """Return the text of the parts, and their images with their positions in the text."""
    text = ""
    images: list[ImageInput] = []
    for part in parts:
        if isinstance(part, TextPart):
            text += part.text
        else:
            images.append(ImageInput(url=part.image_url, detail=part.detail or "auto", at=len(text)))
    return text, tuple(images)


def joined(parts: list[TextPart]) -> str:
    return "".join(part.text for part in parts)


def read_input(value: Any) -> tuple[InputItem, ...]:
    """Read the field `input`: a text, or items in the order of the conversation."""
    if isinstance(value, str):
        return (Item(id="", role=Role.USER, text=value),)
    if not isinstance(value, list):
        raise wrong_type("input", "a string or an array of items", value)
    return read_items(cast("list[Any]", value), "input", most=ITEMS_LIMIT)


def read_items(elements: list[Any], field: str, *, most: int) -> tuple[InputItem, ...]:
    """Read 1 to `most` items of a field."""
    if not 1 <= len(elements) <= most:
        message = f"Invalid '{field}': expected 1 to {most} items, but got {len(elements)}."
        raise Invalid(message, field=field, code="invalid_value")
    return tuple(read_item(element, field, index) for index, element in enumerate(elements))


def read_item(value: Any, field: str, index: int) -> InputItem:
    if not isinstance(value, dict):
        raise wrong_type(f"{field}[{index}]", "an object", value)
    kind = kind_of(cast("dict[str, Any]", value))
    if kind == REFERENCE:
        return ItemReference(id=validated(ReferenceInput, value, field, index).id, index=index)
    shape = SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None:
        path = f"{field}[{index}].type"
        message = f"Invalid value for '{path}': supported values are {', '.join((*SHAPES, REFERENCE))}."
        raise Invalid(message, field=path, code="invalid_value")
    return validated(shape, value, field, index).item()


type Matches = Callable[[Mapping[str, Any]], bool]

UNTYPED_KINDS: Mapping[str, Matches] = {
    "message": lambda item: "role" in item,
    REFERENCE: lambda item: set(item) <= {"id", "type"} and "id" in item,
}
"""How the type of an item without `type` is inferred."""


def kind_of(item: Mapping[str, Any]) -> object:
    if item.get("type") is not None:
        return item["type"]
    return next((kind for kind, matches in UNTYPED_KINDS.items() if matches(item)), "message")
