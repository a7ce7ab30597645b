"""Which turn does `POST /v1/responses` request?"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

from msgspec import field
from pydantic import BeforeValidator, Field, SkipValidation, StringConstraints
from pydantic_core import PydanticCustomError

from api.http.validation import RequestPart, validated
from api.parsing import reserved_metadata
from api.parsing.field_rules import CHAT_ONLY, RESPONSE_FIELDS, FieldRule, ignored_fields
from api.parsing.include import logprobs_path, read_include
from api.parsing.input_items import ITEMS_LIMIT, InputItem, read_input
from api.parsing.server_tools import RequestedSearch, RequestedServer, ServerChoice, read_server_choices
from api.parsing.tool_list import RESPONSES, ToolList, read_tools
from api.parsing.tools import OutputFormatField, ToolChoiceField, ToolListField, read_choice, read_format
from domain.content.capabilities import Capability
from domain.content.sampling_parameters import needed_capabilities
from domain.content.tools import ToolConfig
from domain.errors import Invalid
from domain.fleet.caller_rules import CallerRules
from domain.log.token_logprobs import MOST_OPTIONS
from domain.turns.response import IncludedPart, Sampling
from domain.values import Discreet

AUTO = "auto"
DEADLINE = "deadline_ms"
DEADLINE_LIMIT_MS = 86_400_000

SOURCES = "sources"
METADATA_PAIRS = 16
NOTES = "ganglion_"
"""So begin the names of the notes that the service adds to the metadata of an answer."""


type ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
type MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64)]
type MetadataValue = Annotated[str, StringConstraints(max_length=512)]


def check_pair_count(value: object) -> object:
    """Reject an object of too many pairs before each of them is checked: every wrong pair makes an error."""
    if isinstance(value, dict) and len(cast("dict[str, Any]", value)) > METADATA_PAIRS:
        raise PydanticCustomError("too_many_pairs", "expected at most {pairs} pairs", {"pairs": METADATA_PAIRS})
    return cast("object", value)


type Metadata = Annotated[
    dict[MetadataKey, MetadataValue], Field(max_length=METADATA_PAIRS), BeforeValidator(check_pair_count)
]


LEAST_OUTPUT_TOKENS = 16
"""OpenAI's API rejects less. Chat Completions takes less, because clients warm up with one token."""

type ShortText = Annotated[str, StringConstraints(max_length=512)]
type ItemList = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=ITEMS_LIMIT)]
type Penalty = Annotated[float, Field(ge=-2, le=2)]
type TopLogprobs = Annotated[int, Field(ge=0, le=MOST_OPTIONS)]
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
    """The fields in the body of `POST /v1/responses` that are honoured or returned."""

    input: SkipValidation[str | ItemList | None] = None
    tools: ToolListField = None
    tool_choice: ToolChoiceField = None
    parallel_tool_calls: bool | None = None
    text: TextInput | None = None
    reasoning: ReasoningOptions | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    top_logprobs: TopLogprobs | None = None
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
    max_output_tokens: Annotated[int, Field(ge=LEAST_OUTPUT_TOKENS, le=10_000_000)] | None = None
    metadata: Metadata | None = None
    include: list[Annotated[str, StringConstraints(max_length=200)]] | None = None
    max_tool_calls: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    prompt_cache_key: ShortText | None = None
    safety_identifier: ShortText | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority"] | None = None

    @property
    def echoed(self) -> dict[str, str | int]:
        """The fields that have no effect and are returned as they were sent."""
        values = {
            "max_tool_calls": self.max_tool_calls,
            "prompt_cache_key": self.prompt_cache_key,
            "safety_identifier": self.safety_identifier,
            "service_tier": self.service_tier,
        }
        return {name: value for name, value in values.items() if value is not None}


class TurnRequest(Discreet, frozen=True, kw_only=True):
    """A requested turn; `deadline_s` counts from now, `ignored` names the ignored fields.

    An earlier turn's answer may be `cache_s` old; None: it takes none. `keeps_text`: its stream can't replace text.

    `truncates`: the oldest turns may be left out. `paths` maps parameters to fields with another name. `input_field` is
    the field that has the items, `output_field` limits the answer. `pairs_calls`: calls need results, results calls.

    `on_running` says what happens where another response has the conversation. A turn that is admitted to wait
    `ignores_lock`; when it may begin, it is the one that `waits_as` its id. `servers` are those whose tools the service
    runs, `search` names the data that it searches, `server_choices` are those of both in `tool_choice`. `rules` are
    those of its owner and its metadata. `assertion` is the caller's token. It may wait `approval_wait_s` for approvals.
    """

    concealed: ClassVar = ("assertion",)

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
    servers: tuple[RequestedServer, ...] = ()
    search: RequestedSearch | None = None
    server_choices: tuple[ServerChoice, ...] = ()
    truncates: bool = True
    model_named: bool = True
    metadata: Mapping[str, str]
    deadline_s: float | None = None
    cache_s: float | None = None
    ignored: tuple[str, ...] = ()
    include: tuple[IncludedPart, ...] = ()
    paths: Mapping[str, str] = field(default_factory=dict[str, str])
    echoed: Mapping[str, str | int] = field(default_factory=dict[str, str | int])
    input_field: str = "input"
    output_field: str = "max_output_tokens"
    pairs_calls: bool = True
    on_running: reserved_metadata.OnRunning = reserved_metadata.OnRunning.REJECT
    cancels_on_disconnect: bool = False
    keeps_text: bool = False
    approval_wait_s: float = 0.0
    ignores_lock: bool = False
    waits_as: str = ""
    rules: CallerRules = field(default_factory=CallerRules)
    assertion: str = ""

    @property
    def parameters(self) -> Mapping[str, Capability]:
        """The capability that each parameter needs, by the field of the request."""
        needed = needed_capabilities(self.sampling.parameters)
        return {self.paths.get(name, name): capability for name, capability in needed.items()}

    @property
    def needs(self) -> frozenset[Capability]:
        return self.tool_config.required_capabilities | frozenset(self.parameters.values())


def request_from_openai(body: Mapping[str, Any], rules: Mapping[str, FieldRule] = RESPONSE_FIELDS) -> TurnRequest:
    """Read the body of `POST /v1/responses`; raises Invalid naming the first field that is wrong."""
    ignored = ignored_fields(body, {**CHAT_ONLY, **rules})
    request = validated(ResponseRequest, body)
    metadata, own_notes = own_metadata(request.metadata)
    tools = read_tools(request.tools, metadata, RESPONSES)
    include, not_included = read_include(request.include)
    return TurnRequest(
        model=request.model or AUTO,
        model_named=bool(request.model),
        input_items=input_of(request),
        stream=bool(request.stream),
        background=bool(request.background),
        store=request.store is not False,
        previous=request.previous_response_id or None,
        conversation=conversation_of(request),
        instructions=request.instructions,
        sampling=sampling_of(request),
        tool_config=tool_config_of(request, tools),
        servers=tools.servers,
        search=tools.search,
        server_choices=read_server_choices(request.tool_choice),
        truncates=request.truncation != "disabled",
        metadata=metadata,
        deadline_s=deadline_of(metadata),
        cache_s=reserved_metadata.cache_age_of(metadata),
        ignored=(*ignored, *own_notes, *not_included, *tools.ignored),
        include=include,
        paths={**PATHS, "logprobs": logprobs_path(request.include, request.top_logprobs) or "include"},
        echoed=request.echoed,
        on_running=reserved_metadata.on_running_of(metadata),
        cancels_on_disconnect=reserved_metadata.cancels_on_disconnect(metadata),
        approval_wait_s=reserved_metadata.approval_wait_of(metadata, background=bool(request.background)),
    )


def own_metadata(metadata: Mapping[str, str] | None) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the caller's metadata without our notes, which clients send back, and the fields that had the notes."""
    given = metadata or {}
    notes = [name for name in given if name.startswith(NOTES)]
    kept = {name: value for name, value in given.items() if name not in notes}
    return kept, tuple(f"metadata.{name}" for name in notes)


def input_of(request: ResponseRequest) -> tuple[InputItem, ...]:
    """Return the input; an empty list is the same as none where the turn continues others."""
    continues = request.previous_response_id or request.conversation
    if request.input is None or (request.input == [] and continues):
        return ()
    return read_input(request.input)


def require_input(request: TurnRequest) -> None:
    """Raise Invalid where a turn has nothing to read: no input, and nothing that it continues."""
    if not (request.input_items or request.previous or request.conversation):
        message = "Missing required parameter: send 'input', 'previous_response_id' or 'conversation'."
        raise Invalid(message, field="input", code="missing_required_parameter")


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
        "logprobs": logprobs_path(request.include, request.top_logprobs) is not None,
        "top_logprobs": request.top_logprobs,
    }
    return Sampling(
        temperature=request.temperature,
        top_p=request.top_p,
        max_output_tokens=request.max_output_tokens,
        parameters={name: value for name, value in values.items() if value},
    )


def tool_config_of(request: ResponseRequest, tools: ToolList) -> ToolConfig:
    output_format = read_format(request.text.format if request.text else None, ("text", "format"), RESPONSES)
    parallel = request.parallel_tool_calls is not False
    config = ToolConfig(
        functions=tools.functions,
        parallel=parallel,
        format=output_format,
        max_tool_calls=request.max_tool_calls,
    )
    return read_choice(request.tool_choice, config, tools, RESPONSES)


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
