"""Which items does a message of a chat become?"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import AliasChoices, BeforeValidator, Discriminator, Field, Tag

from api.http.validation import RequestPart
from api.parsing.files import AudioPart, ChatFile, ImageUrl, known_kind
from api.parsing.input_items import AUDIO, FILE, IMAGE, TEXT, InputItem, tagged_by
from domain.content.custom_tools import custom_arguments
from domain.content.items import ImageInput, Item, ItemKind, Role
from domain.errors import Invalid


def as_parts(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class ChatPart(RequestPart):
    type: Annotated[Literal["text", "refusal"], BeforeValidator(known_kind("text", "refusal"))]
    text: str = Field(validation_alias=AliasChoices("text", "refusal"))


class ChatUrl(RequestPart):
    url: ImageUrl
    detail: Literal["auto", "low", "high", "original"] | None = None


class ChatImage(RequestPart):
    type: Literal["image_url"]
    image_url: ChatUrl


TAGS = {"image_url": IMAGE, "file": FILE, "input_audio": AUDIO}

type AnyPart = Annotated[
    Annotated[ChatPart, Tag(TEXT)]
    | Annotated[ChatImage, Tag(IMAGE)]
    | Annotated[ChatFile, Tag(FILE)]
    | Annotated[AudioPart, Tag(AUDIO)],
    tagged_by(TAGS),
]
type ChatContent = Annotated[
    list[AnyPart], BeforeValidator(as_parts, json_schema_input_type=str | list[dict[str, Any]])
]


class CalledFunction(RequestPart):
    name: str = Field(min_length=1, max_length=256)
    arguments: str


class CalledCustomTool(RequestPart):
    name: str = Field(min_length=1, max_length=256)
    input: str


class FunctionToolCall(RequestPart):
    id: str = Field(min_length=1, max_length=256)
    type: Literal["function"] | None = None
    function: CalledFunction

    def item(self) -> Item:
        called, kind = self.function, ItemKind.FUNCTION_CALL
        return Item(id="", kind=kind, text=called.arguments, name=called.name, call_id=self.id)


class CustomToolCall(RequestPart):
    id: str = Field(min_length=1, max_length=256)
    type: Literal["custom"]
    custom: CalledCustomTool

    def item(self) -> Item:
        called, kind = self.custom, ItemKind.FUNCTION_CALL
        text = custom_arguments(called.input)
        return Item(id="", kind=kind, text=text, name=called.name, call_id=self.id, is_custom=True)


def tag_of_call(call: Any) -> str:
    is_custom = isinstance(call, dict) and cast("dict[str, Any]", call).get("type") == "custom"
    return CUSTOM if is_custom else FUNCTION


FUNCTION, CUSTOM = "[function]", "[custom]"

type ToolCall = Annotated[
    Annotated[FunctionToolCall, Tag(FUNCTION)] | Annotated[CustomToolCall, Tag(CUSTOM)], Discriminator(tag_of_call)
]


class ChatMessage(RequestPart):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: ChatContent | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = Field(default=None, validation_alias=AliasChoices("reasoning_content", "reasoning"))

    def text_and_images(self, index: int) -> tuple[str, tuple[ImageInput, ...]]:
        """The text, and the images with their positions in the text; a refusal stands for the text it replaced."""
        text = "" if self.content else self.refusal or ""
        images: list[ImageInput] = []
        for number, part in enumerate(self.content or ()):
            if not isinstance(part, ChatImage):
                text += part.text
                continue
            url, detail = part.image_url.url, part.image_url.detail or "auto"
            path = f"messages[{index}].content[{number}].image_url.url"
            images.append(ImageInput(url=url, detail=detail, at=len(text), path=path))
        return text, tuple(images)


def names_in(messages: Sequence[ChatMessage]) -> tuple[str, ...]:
    """Return the field that names participants where a message has it: no model reads it."""
    return ("messages.name",) if any(message.name and message.role != "tool" for message in messages) else ()


def items_of(message: ChatMessage, index: int) -> tuple[InputItem, ...]:
    """Return the items of one message: its reasoning, its text, then its function calls."""
    if message.role == "tool":
        return (tool_output(message, index),)
    calls = tuple(call.item() for call in message.tool_calls or ())
    if message.content is None and message.refusal is None and not calls:
        path = f"messages[{index}].content"
        raise Invalid(f"Missing required parameter: '{path}'.", field=path, code="missing_required_parameter")
    thought = [Item(id="", kind=ItemKind.REASONING, text=text) for text in (message.reasoning_content,) if text]
    if message.content is None and message.refusal is None:
        return (*thought, *calls)
    text, images = message.text_and_images(index)
    return (*thought, Item(id="", role=Role(message.role), text=text, images=images), *calls)


def tool_output(message: ChatMessage, index: int) -> Item:
    if not message.tool_call_id:
        path = f"messages[{index}].tool_call_id"
        raise Invalid(f"Missing required parameter: '{path}'.", field=path, code="missing_required_parameter")
    kind = ItemKind.FUNCTION_OUTPUT
    text, images = message.text_and_images(index)
    return Item(id="", kind=kind, role=Role.USER, text=text, call_id=message.tool_call_id, images=images)
