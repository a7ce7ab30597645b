"""Which items does the caller add to the conversation?"""

from collections.abc import Callable, Mapping, Sequence
from copy import replace
from typing import Annotated, Any, Literal, cast, get_args

from msgspec import Struct
from pydantic import AfterValidator, AliasChoices, BeforeValidator, Discriminator, Field, Tag

from api.approvals.items import ApprovalRequestInput, ApprovalResponseInput, ReferenceInput
from api.http.validation import RequestPart, validated, wrong_type
from api.parsing.files import AudioPart, FilePart, ImageUrl, known_kind, refused, unreadable
from api.parsing.server_tools import ITEMS_LIMIT, SearchCallInput, ServerCallInput, ServerToolsInput
from domain.content.custom_tools import custom_arguments
from domain.content.items import ImageInput, Item, ItemKind, ItemStatus, Role
from domain.content.packed_text import own_text, summary_of
from domain.errors import Invalid


class ItemReference(Struct, frozen=True, kw_only=True):
    """A reference to a stored item; `field` is its place in the request, such as `input[0]`."""

    id: str
    field: str


type InputItem = Item | ItemReference
"""An item without an id yet, or a reference to one."""


def as_parts(content: Any) -> Any:
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else content


type TextKind = Literal["input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text"]


class TextPart(RequestPart):
    type: Annotated[TextKind, BeforeValidator(known_kind(*get_args(TextKind.__value__)))]
    text: str = Field(validation_alias=AliasChoices("text", "refusal"))


class ImagePart(RequestPart):
    type: Literal["input_image"]
    file_id: Annotated[str, AfterValidator(refused("An image by its id"))] | None = None
    image_url: ImageUrl
    detail: Literal["auto", "low", "high", "original"] | None = None


def tagged_by(tags: Mapping[str, str]) -> Discriminator:
    """Return what tells the parts of a content apart: the tag of their `type`, TEXT for any other one."""

    def tag_of(part: Any) -> str:
        kind: object = part.get("type") if isinstance(part, dict) else getattr(part, "type", None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - JSON
        return tags.get(kind, TEXT) if isinstance(kind, str) else TEXT

    return Discriminator(tag_of)


TEXT, IMAGE, FILE, AUDIO = "[text]", "[image]", "[file]", "[audio]"
TAGS: Mapping[str, str] = {"input_image": IMAGE, "input_file": FILE, "input_audio": AUDIO}
REFUSAL = "refusal"

type AnyPart = Annotated[
    Annotated[TextPart, Tag(TEXT)]
    | Annotated[ImagePart, Tag(IMAGE)]
    | Annotated[FilePart, Tag(FILE)]
    | Annotated[AudioPart, Tag(AUDIO)],
    tagged_by(TAGS),
]
type VisualContent = Annotated[list[AnyPart], BeforeValidator(as_parts)]


class MessageInput(RequestPart):
    role: Literal["user", "assistant", "system", "developer"]
    content: VisualContent
    status: Literal["in_progress", "completed", "incomplete"] | None = None

    def item(self) -> Item:
        status = ItemStatus.INCOMPLETE if self.status == "incomplete" else ItemStatus.COMPLETED
        refusal = joined([part for part in self.content if isinstance(part, TextPart) and part.type == REFUSAL])
        text, images = text_and_images([part for part in self.content if part.type != REFUSAL])
        return Item(id="", role=Role(self.role), text=text, status=status, images=images, refusal=refusal)


class FunctionCallInput(RequestPart):
    call_id: str = Field(min_length=1, max_length=256)
    name: str = Field(min_length=1, max_length=256)
    arguments: str
    namespace: str | None = Field(default=None, max_length=256)

    def item(self) -> Item:
        kind, namespace = ItemKind.FUNCTION_CALL, self.namespace or ""
        return Item(id="", kind=kind, text=self.arguments, name=self.name, call_id=self.call_id, namespace=namespace)


class CustomCallInput(RequestPart):
    call_id: str = Field(min_length=1, max_length=256)
    name: str = Field(min_length=1, max_length=256)
    input: str
    namespace: str | None = Field(default=None, max_length=256)

    def item(self) -> Item:
        return Item(
            id="",
            kind=ItemKind.FUNCTION_CALL,
            text=custom_arguments(self.input),
            name=self.name,
            call_id=self.call_id,
            namespace=self.namespace or "",
            is_custom=True,
        )


class FunctionOutputInput(RequestPart):
    call_id: str = Field(min_length=1, max_length=256)
    output: VisualContent

    def item(self) -> Item:
        kind = ItemKind.FUNCTION_OUTPUT
        text, images = text_and_images(self.output)
        return Item(id="", kind=kind, role=Role.USER, text=text, call_id=self.call_id, images=images)


class CustomOutputInput(FunctionOutputInput):
    def item(self) -> Item:
        return replace(super().item(), is_custom=True)


class ReasoningInput(RequestPart):
    summary: list[TextPart] = Field(default_factory=list[TextPart])
    content: list[TextPart] | None = None
    encrypted_content: str | None = None

    def item(self) -> Item:
        """Return the reasoning. The encrypted content of another service is not read."""
        text = joined([*self.summary, *(self.content or ())])
        return Item(id="", kind=ItemKind.REASONING, text=own_text(self.encrypted_content or "") or text)


SUMMARY_HEADING = "What was said before, summed up:\n"


def summary_in(content: str) -> str:
    try:
        return summary_of(content)
    except Invalid as error:
        raise unreadable(str(error)) from None


class CompactionInput(RequestPart):
    """A compaction; `encrypted_content` is its summary after the validation."""

    encrypted_content: Annotated[str, AfterValidator(summary_in)]

    def item(self) -> Item:
        return Item(id="", role=Role.USER, text=SUMMARY_HEADING + self.encrypted_content)


type Shape = type[
    MessageInput
    | FunctionCallInput
    | CustomCallInput
    | FunctionOutputInput
    | ReasoningInput
    | ServerToolsInput
    | ServerCallInput
    | SearchCallInput
    | ApprovalRequestInput
    | ApprovalResponseInput
    | CompactionInput
]

SHAPES: Mapping[str, Shape] = {
    "message": MessageInput,
    "function_call": FunctionCallInput,
    "function_call_output": FunctionOutputInput,
    "custom_tool_call": CustomCallInput,
    "custom_tool_call_output": CustomOutputInput,
    "reasoning": ReasoningInput,
    "mcp_list_tools": ServerToolsInput,
    "mcp_call": ServerCallInput,
    "file_search_call": SearchCallInput,
    "mcp_approval_request": ApprovalRequestInput,
    "mcp_approval_response": ApprovalResponseInput,
    "compaction": CompactionInput,
}

REFERENCE = "item_reference"


def text_and_images(parts: Sequence[TextPart | ImagePart | FilePart | AudioPart]) -> tuple[str, tuple[ImageInput, ...]]:
    """Return the text of the parts, and their images with their positions in the text."""
    text = ""
    images: list[ImageInput] = []
    for index, part in enumerate(parts):
        if not isinstance(part, ImagePart):
            text += part.text
        else:
            path = f"[{index}].image_url"
            images.append(ImageInput(url=part.image_url, detail=part.detail or "auto", at=len(text), path=path))
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


def read_items(elements: Sequence[Any], field: str, *, most: int) -> tuple[InputItem, ...]:
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
        return ItemReference(id=validated(ReferenceInput, value, field, index).id, field=f"{field}[{index}]")
    shape = SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None:
        path = f"{field}[{index}].type"
        message = f"Invalid value for '{path}': supported values are {', '.join((*SHAPES, REFERENCE))}."
        raise Invalid(message, field=path, code="invalid_value")
    item = validated(shape, value, field, index).item()
    if not item.images:
        return item
    content = "content" if item.kind is ItemKind.MESSAGE else "output"
    images = (replace(image, path=f"{field}[{index}].{content}{image.path}") for image in item.images)
    return replace(item, images=tuple(images))


type Matches = Callable[[Mapping[str, Any]], bool]

UNTYPED_KINDS: Mapping[str, Matches] = {
    "message": lambda item: "role" in item,
    REFERENCE: lambda item: set(item) <= {"id", "type"} and "id" in item,
}
"""How the type of an item without `type` is inferred."""


def kind_of(item: Mapping[str, Any]) -> object:
    given = {name: value for name, value in item.items() if value is not None}
    if "type" in given:
        return given["type"]
    return next((kind for kind, matches in UNTYPED_KINDS.items() if matches(given)), "message")
