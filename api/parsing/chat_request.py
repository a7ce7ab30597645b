"""Which turn does `POST /v1/chat/completions` request?"""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Struct
from pydantic import BeforeValidator, Field, StringConstraints

from api.http.validation import RequestPart, validated
from api.parsing.chat_messages import ChatMessage, items_of, names_in
from api.parsing.field_rules import (
    GROUP,
    HONOURED,
    IGNORED,
    MODERATION,
    RESPONSES_ONLY,
    FieldRule,
    ignored_fields,
    rejected_unless,
)
from api.parsing.include import check_top_logprobs
from api.parsing.input_items import ITEMS_LIMIT
from api.parsing.reserved_metadata import cache_age_of, cancels_on_disconnect
from api.parsing.responses_request import (
    AUTO,
    Effort,
    Metadata,
    ModelName,
    Penalty,
    TopLogprobs,
    TurnRequest,
    Verbosity,
    deadline_of,
    own_metadata,
)
from api.parsing.tool_list import CHAT, ToolList, read_tools
from api.parsing.tools import OutputFormatField, ToolChoiceField, ToolListField, read_choice, read_format
from domain.content.sampling_parameters import ABILITIES
from domain.content.tools import ToolConfig
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
    "logprobs": HONOURED,
    "modalities": rejected_unless(["text"]),
    "moderation": MODERATION,
    "n": rejected_unless(1),
    "prediction": IGNORED,
    "presence_penalty": HONOURED,
    "reasoning_effort": HONOURED,
    "seed": HONOURED,
    "stop": HONOURED,
    "top_logprobs": HONOURED,
    "verbosity": HONOURED,
    "web_search_options": rejected_unless(),
}

ANSWER_FIELDS = (*ABILITIES, "function_call", "functions", "web_search_options")
"""The fields that affect only the content of an answer."""

EMPTY_ANSWER_FIELDS: Mapping[str, FieldRule] = {**CHAT_FIELDS, **dict.fromkeys(ANSWER_FIELDS, IGNORED)}
"""The rules for a request with a limit of 0 tokens: its answer is empty, so fields that affect it are ignored."""


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
    logprobs: bool | None = None
    top_logprobs: TopLogprobs | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters to pass to the backend unchanged, without those that have no effect."""
        values = {name: getattr(self, name) for name in ABILITIES}
        values["logit_bias"] = {token: bias for token, bias in (self.logit_bias or {}).items() if bias}
        return {name: value for name, value in values.items() if value or (value == 0 and name == "seed")}


class ChatTurnRequest(Struct, frozen=True, kw_only=True):
    """A requested turn, and whether its stream includes the usage."""

    turn: TurnRequest
    include_usage: bool


def request_from_chat(body: Mapping[str, Any]) -> ChatTurnRequest:
    """Read the body of `POST /v1/chat/completions`; raises Invalid naming the first field that is wrong."""
    request = validated(ChatRequest, body)
    limit = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    if limit != 0:
        check_top_logprobs(request.logprobs, request.top_logprobs)
    ignored = ignored_fields(body, {**RESPONSES_ONLY, **(EMPTY_ANSWER_FIELDS if limit == 0 else CHAT_FIELDS)})
    metadata, own_notes = own_metadata(request.metadata)
    tools = read_tools(request.tools, metadata, CHAT)
    turn = TurnRequest(
        model=request.model or AUTO,
        input_items=tuple(item for index, message in enumerate(request.messages) for item in items_of(message, index)),
        stream=bool(request.stream),
        keeps_text=bool(request.stream),
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
        cache_s=cache_age_of(metadata),
        ignored=(*ignored, *names_in(request.messages), *own_notes, *tools.ignored),
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
