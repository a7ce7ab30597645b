"""Which turn does `POST /v1/chat/completions` request?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import AliasChoices, BeforeValidator, Discriminator, Field, StringConstraints, Tag

from api.http.validation import RequestPart, validated
from api.parsing.field_rules import GROUP, HONOURED, IGNORED, MODERATION, FieldRule, ignored_fields, rejected_unless
from api.parsing.files import AudioPart, ChatFile
from api.parsing.input_items import AUDIO, FILE, IMAGE, ITEMS_LIMIT, TEXT, ImageUrl, InputItem, tagged_by
from api.parsing.interruptions import cancels_on_disconnect
from api.parsing.responses_request import (
    AUTO,
    Effort,
    Metadata,
    ModelName,
    Penalty,
    TurnRequest,
    Verbosity,
    deadline_of,
    own_metadata,
)
from api.parsing.tool_list import CHAT, ToolList, read_tools
from api.parsing.tools import OutputFormatField, ToolChoiceField, ToolListField, read_choice, read_format
from domain.content.custom_tools import custom_arguments
from domain.content.items import ImageInput, Item, ItemKind, Role
from domain.content.sampling_parameters import ABILITIES
from domain.content.tools import ToolConfig
from domain.errors import Invalid
from domain.turns.response import Sampling

CHAT_FIELDS: Mapping[str, FieldRule] = {
    "max_completion_tokens": HONOURED,
    "max_tokens": HONOURED,
    "messages": HONOURED,
    "metadata": HONOURED,
    "parallel_tool_calls": HONOURED,
    "response_format": HONOURED,
    "tool_choice": HONOURED,
    "tools": HONOURED,
    "model": HONOURED,
    "store": HONOURED,
    "stream": HONOURED,
    "stream_options": GROUP,
    "stream_options.include_usage": HONOURED,
    "stream_options.include_obfuscation": IGNORED,
    "temperature": HONOURED,
    "top_p": HONOURED,
    "prompt_cache_key": IGNORED,
    "prompt_cache_options": IGNORED,
    "prompt_cache_retention": IGNORED,
    "safety_identifier": IGNORED,
    "service_tier": IGNORED,
    "user": IGNORED,
    "audio": IGNORED,
    "frequency_penalty": HONOURED,
    "function_call": rejected_unless("auto", "none"),
    "functions": rejected_unless([]),
    "logit_bias": HONOURED,
    "logprobs": rejected_unless(False),
    "modalities": rejected_unless(["text"]),
    "moderation": MODERATION,
    "n": rejected_unless(1),
    "prediction": IGNORED,
    "presence_penalty": HONOURED,
    "reasoning_effort": HONOURED,
    "seed": HONOURED,
    "stop": HONOURED,
    "top_logprobs": rejected_unless(0),
    "verbosity": HONOURED,
    "web_search_options": rejected_unless(),
}

ANSWER_FIELDS = (*ABILITIES, "function_call", "functions", "logprobs", "top_logprobs", "web_search_options")
"""The fields that affect only the content of an answer."""

EMPTY_ANSWER_FIELDS: Mapping[str, FieldRule] = {**CHAT_FIELDS, **dict.fromkeys(ANSWER_FIELDS, IGNORED)}
"""The rules for a request with a limit of 0 tokens: its answer is empty, so fields that affect it are ignored."""


def as_parts(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class ChatPart(RequestPart):
    type: Literal["text", "refusal"]
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


def as_stops(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop


type Stop = Annotated[str, StringConstraints(min_length=1, max_length=256)]
type StopList = Annotated[list[Stop], Field(max_length=4)]
type Stops = Annotated[StopList, BeforeValidator(as_stops, json_schema_input_type=Stop | StopList)]
type Bias = Annotated[float, Field(ge=-100, le=100)]


class StreamOptions(RequestPart):
    include_usage: bool | None = None


class ChatRequest(RequestPart):
    """The honoured fields in the body of `POST /v1/chat/completions`."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=ITEMS_LIMIT, fail_fast=True)]
    model: ModelName | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    store: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    metadata: Metadata | None = None
    tools: ToolListField = None
    tool_choice: ToolChoiceField = None
    parallel_tool_calls: bool | None = None
    response_format: OutputFormatField = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    reasoning_effort: Effort | None = None
    verbosity: Verbosity | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Stops | None = None
    logit_bias: Annotated[dict[str, Bias], Field(max_length=1024)] | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters to pass to the backend unchanged, without those that have no effect."""
        values = {name: getattr(self, name) for name in ABILITIES}
        values["logit_bias"] = {token: bias for token, bias in (self.logit_bias or {}).items() if bias}
        return {name: value for name, value in values.items() if value or (value == 0 and name == "seed")}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTurnRequest:
    """A requested turn, and whether its stream includes the usage."""

    turn: TurnRequest
    include_usage: bool


def request_from_chat(body: Mapping[str, Any]) -> ChatTurnRequest:
    """Read the body of `POST /v1/chat/completions`; raises Invalid naming the first field that is wrong."""
    request = validated(ChatRequest, body)
    limit = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    ignored = ignored_fields(body, EMPTY_ANSWER_FIELDS if limit == 0 else CHAT_FIELDS)
    metadata, own_notes = own_metadata(request.metadata)
    tools = read_tools(request.tools, metadata, CHAT)
    turn = TurnRequest(
        model=request.model or AUTO,
        input_items=tuple(item for index, message in enumerate(request.messages) for item in items_of(message, index)),
        stream=bool(request.stream),
        store=request.store is True,
        sampling=Sampling(
            temperature=request.temperature,
            top_p=request.top_p,
            max_output_tokens=limit,
            parameters={} if limit == 0 else request.parameters,
        ),
        tool_config=tool_config_of(request, tools),
        model_named=bool(request.model),
        metadata=metadata,
        deadline_s=deadline_of(metadata),
        ignored=(*ignored, *own_notes, *tools.ignored),
        input_field="messages",
        output_field="max_tokens" if request.max_completion_tokens is None else "max_completion_tokens",
        cancels_on_disconnect=cancels_on_disconnect(metadata),
    )
    return ChatTurnRequest(
        turn=turn, include_usage=bool(request.stream_options and request.stream_options.include_usage)
    )


def tool_config_of(request: ChatRequest, tools: ToolList) -> ToolConfig:
    output_format = read_format(request.response_format, ("response_format",), CHAT)
    parallel = request.parallel_tool_calls is not False
    config = ToolConfig(functions=tools.functions, parallel=parallel, format=output_format)
    return read_choice(request.tool_choice, config, tools, CHAT)


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
