"""Which turn does `POST /v1/responses` request?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SkipValidation, StringConstraints

from api.http.validation import RequestPart, validated
from api.parsing.field_rules import RESPONSE_FIELDS, FieldRule, ignored_fields
from api.parsing.input_items import ITEMS_LIMIT, InputItem, read_input
from api.parsing.tools import (
    RESPONSES,
    OutputFormatField,
    ToolChoiceField,
    ToolListField,
    read_choice,
    read_format,
    read_functions,
)
from domain.content.capabilities import Capability
from domain.content.sampling_parameters import needed_capabilities
from domain.content.tools import ToolConfig
from domain.errors import Invalid
from domain.turns.response import Sampling

AUTO = "auto"
DEADLINE = "deadline_ms"
DEADLINE_LIMIT_MS = 86_400_000

SOURCES = "sources"

type ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
type MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64)]
type MetadataValue = Annotated[str, StringConstraints(max_length=512)]
type Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)]

type ItemList = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=ITEMS_LIMIT)]
type Penalty = Annotated[float, Field(ge=-2, le=2)]
type Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
type Verbosity = Literal["low", "medium", "high"]

PATHS: Mapping[str, str] = {"reasoning_effort": "reasoning.effort", "verbosity": "text.verbosity"}
"""The fields of `POST /v1/responses` for parameters that Chat Completions names differently."""


def as_object(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


type ConversationId = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ConversationInput(RequestPart):
    id: ConversationId


type ConversationReference = Annotated[
    ConversationInput, BeforeValidator(as_object, json_schema_input_type=ConversationId | ConversationInput)
]


class TextInput(RequestPart):
    format: OutputFormatField = None
    verbosity: Verbosity | None = None


class ReasoningOptions(RequestPart):
    effort: Effort | None = None


class ResponseRequest(RequestPart):
    """The honoured fields in the body of `POST /v1/responses`."""

    input: SkipValidation[str | ItemList | None] = None
    tools: ToolListField = None
    tool_choice: ToolChoiceField = None
    parallel_tool_calls: bool | None = None
    text: TextInput | None = None
    reasoning: ReasoningOptions | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    truncation: Literal["auto", "disabled"] | None = None
    model: ModelName | None = None
    instructions: str | None = None
    previous_response_id: Annotated[str, StringConstraints(max_length=200)] | None = None
    conversation: ConversationReference | None = None
    stream: bool | None = None
    background: bool | None = None
    store: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """A requested turn; `deadline_s` counts from now, `ignored` names the ignored fields.

    `truncates` is true where the oldest turns may be left out. `paths` maps parameters to the fields of the request
    that have another name.
    """

    model: str
    input_items: tuple[InputItem, ...]
    stream: bool = False
    background: bool = False
    store: bool = True
    previous: str | None = None
    conversation: str | None = None
    instructions: str | None = None
    sampling: Sampling
    tool_config: ToolConfig = field(default_factory=ToolConfig)
    truncates: bool = True
    model_named: bool = True
    metadata: Mapping[str, str]
    deadline_s: float | None = None
    ignored: tuple[str, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def parameters(self) -> Mapping[str, Capability]:
        """The capability that each parameter needs, by the field of the request."""
        needed = needed_capabilities(self.sampling.parameters)
        return {self.paths.get(name, name): capability for name, capability in needed.items()}

    @property
    def needs(self) -> frozenset[Capability]:
        return self.tool_config.needs | frozenset(self.parameters.values())


def request_from_openai(body: Mapping[str, Any], rules: Mapping[str, FieldRule] = RESPONSE_FIELDS) -> TurnRequest:
    """Read the body of `POST /v1/responses`; raises Invalid naming the first field that is wrong."""
    ignored = ignored_fields(body, rules)
    request = validated(ResponseRequest, body)
    metadata = request.metadata or {}
    return TurnRequest(
        model=request.model or AUTO,
        model_named=bool(request.model),
        input_items=() if request.input is None else read_input(request.input),
        stream=bool(request.stream),
        background=bool(request.background),
        store=request.store is not False,
        previous=request.previous_response_id or None,
        conversation=conversation_of(request),
        instructions=request.instructions,
        sampling=sampling_of(request),
        tool_config=tool_config_of(request),
        truncates=request.truncation != "disabled",
        metadata=metadata,
        deadline_s=deadline_of(metadata),
        ignored=ignored,
        paths=PATHS,
    )


def conversation_of(request: ResponseRequest) -> str | None:
    if request.conversation and request.previous_response_id:
        message = "'previous_response_id' and 'conversation' are mutually exclusive: send only one of them."
        raise Invalid(message, field="conversation", code="mutually_exclusive_parameters")
    return request.conversation.id if request.conversation else None


def sampling_of(request: ResponseRequest) -> Sampling:
    values = {
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
        "reasoning_effort": request.reasoning.effort if request.reasoning else None,
        "verbosity": request.text.verbosity if request.text else None,
    }
    return Sampling(
        temperature=request.temperature,
        top_p=request.top_p,
        max_output_tokens=request.max_output_tokens,
        parameters={name: value for name, value in values.items() if value},
    )


def tool_config_of(request: ResponseRequest) -> ToolConfig:
    functions = read_functions(request.tools, RESPONSES)
    output_format = read_format(request.text.format if request.text else None, ("text", "format"), RESPONSES)
    config = ToolConfig(functions=functions, parallel=request.parallel_tool_calls is not False, format=output_format)
    return read_choice(request.tool_choice, config, RESPONSES)


def deadline_of(metadata: Mapping[str, str]) -> float | None:
    text = metadata.get(DEADLINE)
    if text is None:
        return None
    milliseconds = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(DEADLINE_LIMIT_MS)) else 0
    if not 1 <= milliseconds <= DEADLINE_LIMIT_MS:
        path = f"metadata.{DEADLINE}"
        message = f"Invalid '{path}': expected a whole number from 1 to {DEADLINE_LIMIT_MS}, as a string."
        raise Invalid(message, field=path, code="invalid_value")
    return milliseconds / 1000
