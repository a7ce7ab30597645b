"""Which turn does `POST /v1/chat/completions` request?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import AliasChoices, BeforeValidator, Discriminator, Field, StringConstraints, Tag

from api.http.validation import RequestPart, validated
from api.parsing.field_rules import GROUP, HONOURED, IGNORED, MODERATION, FieldRule, ignored_fields, rejected_unless
from api.parsing.input_items import IMAGE, ITEMS_LIMIT, TEXT, ImageUrl, InputItem
from api.parsing.responses_request import (
    AUTO,
    Effort,
    Metadata,
    ModelName,
    Penalty,
    TurnRequest,
    Verbosity,
    deadline_of,
)
from api.parsing.tools import (
    CHAT,
    OutputFormatField,
    ToolChoiceField,
    ToolListField,
    read_choice,
    read_format,
    read_functions,
)
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
    detail: Literal["auto", "low", "high"] | None = None


class ChatImage(RequestPart):
    type: Literal["image_url"]
    image_url: ChatUrl


def tag_of(part: Any) -> str:
    kind: object = cast("dict[str, Any]", part).get("type") if isinstance(part, dict) else getattr(part, "type", None)
    return IMAGE if kind == "image_url" else TEXT


type AnyPart = Annotated[Annotated[ChatPart, Tag(TEXT)] | Annotated[ChatImage, Tag(IMAGE)], Discriminator(tag_of)]
type ChatContent = Annotated[
    list[AnyPart], BeforeValidator(as_parts, json_schema_input_type=str | list[dict[str, Any]])
]


class CalledFunction(RequestPart):
    name: str = Field(min_length=1, max_length=256)
    arguments: str


class ToolCall(RequestPart):
    id: str = Field(min_length=1, max_length=256)
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(RequestPart):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: ChatContent | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str = ""

    @property
    def text(self) -> str:
        return self.text_and_images[0]

    @property
    def text_and_images(self) -> tuple[str, tuple[ImageInput, ...]]:
        """The text, and the images with their positions in the text."""
        text = ""
        images: list[ImageInput] = []
        for part in self.content or ():
            if isinstance(part, ChatPart):
                text += part.text
            else:
                images.append(ImageInput(url=part.image_url.url, detail=part.image_url.detail or "auto", at=len(text)))
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

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=ITEMS_LIMIT)]
    model: ModelName = AUTO
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
    metadata = request.metadata or {}
    turn = TurnRequest(
        model=request.model,
        input_items=tuple(item for index, message in enumerate(request.messages) for item in items_of(message, index)),
        stream=bool(request.stream),
        store=request.store is True,
        sampling=Sampling(
            temperature=request.temperature,
            top_p=request.top_p,
            max_output_tokens=limit,
            parameters={} if limit == 0 else request.parameters,
        ),
        tool_config=tool_config_of(request),
        model_named=bool(body.get("model")),
        metadata=metadata,
        deadline_s=deadline_of(metadata),
        ignored=ignored,
    )
    return ChatTurnRequest(
        turn=turn, include_usage=bool(request.stream_options and request.stream_options.include_usage)
    )


def tool_config_of(request: ChatRequest) -> ToolConfig:
    output_format = read_format(request.response_format, ("response_format",), CHAT)
    parallel = request.parallel_tool_calls is not False
    config = ToolConfig(functions=read_functions(request.tools, CHAT), parallel=parallel, format=output_format)
    return read_choice(request.tool_choice, config, CHAT)


def items_of(message: ChatMessage, index: int) -> tuple[InputItem, ...]:
    """Return the items of one message: its text, then its function calls."""
    if message.role == "tool":
        return (tool_output(message, index),)
    calls = tuple(
        Item(id="", kind=ItemKind.FUNCTION_CALL, text=call.function.arguments, name=call.function.name, call_id=call.id)
        for call in message.tool_calls or ()
    )
    if message.content is None and not calls:
        path = f"messages[{index}].content"
        raise Invalid(f"Missing required parameter: '{path}'.", field=path, code="missing_required_parameter")
    if message.content is None:
        return calls
    text, images = message.text_and_images
    return (Item(id="", role=Role(message.role), text=text, images=images), *calls)


def tool_output(message: ChatMessage, index: int) -> Item:
    if not message.tool_call_id:
        path = f"messages[{index}].tool_call_id"
        raise Invalid(f"Missing required parameter: '{path}'.", field=path, code="missing_required_parameter")
    kind = ItemKind.FUNCTION_OUTPUT
    return Item(id="", kind=kind, role=Role.USER, text=message.text, call_id=message.tool_call_id)
