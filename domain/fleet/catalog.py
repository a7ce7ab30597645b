"""Which models are there, and which backends serve them?"""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Final

from msgspec import Struct, field

from domain.content.capabilities import Capability
from domain.content.reasoning import ReasoningFormat, ReasoningInputMode
from domain.fleet.caller_rules import AutoTiers, TenantRules
from domain.fleet.failure_classes import FailureSignature
from domain.fleet.instances.scaling import InstanceControl, Scaling
from domain.fleet.request_forms import Probe, PromptFormat, ServiceTier, TokenCounting
from domain.money.prices import Price
from domain.values import Discreet

AUTO: Final = "auto"
"""The model name that lets the router choose."""

MIN_TIER: Final = 1
MAX_TIER: Final = 5
"""The lowest and the highest quality tier of a model."""


class Adapter(StrEnum):
    """The wire that a backend speaks."""

    OPENAI = "openai"
    CONVERSE = "converse"
    RESPONSES = "responses"
    SAGEMAKER = "sagemaker"
    LAMBDA = "lambda"
    REPLICATE = "replicate"
    PROMPT = "prompt"


LAMBDA_FUNCTIONS: Final = "/functions/"
"""What precedes the name of a function in the address of a Lambda backend."""

INEXPRESSIBLE: Final[Mapping[Adapter, frozenset[Capability]]] = {
    Adapter.OPENAI: frozenset(),
    Adapter.CONVERSE: frozenset(
        {
            Capability.FREQUENCY_PENALTY,
            Capability.LOGIT_BIAS,
            Capability.LOGPROBS,
            Capability.PRESENCE_PENALTY,
            Capability.REASONING,
            Capability.SEED,
            Capability.VERBOSITY,
        }
    ),
    Adapter.SAGEMAKER: frozenset(),
    Adapter.LAMBDA: frozenset(),
    Adapter.REPLICATE: frozenset(Capability),
    Adapter.PROMPT: frozenset(Capability),
    Adapter.RESPONSES: frozenset(
        {
            Capability.FREQUENCY_PENALTY,
            Capability.LOGIT_BIAS,
            Capability.LOGPROBS,
            Capability.PRESENCE_PENALTY,
            Capability.SEED,
            Capability.STOP,
        }
    ),
}
"""The capabilities that a wire has no form for, even if the model could do it."""


CONTINUING: Final = frozenset(Adapter) - {Adapter.REPLICATE, Adapter.RESPONSES}
"""The wires on which a backend can be asked to go on with an answer."""


TIERED: Final = frozenset({Adapter.OPENAI, Adapter.RESPONSES, Adapter.CONVERSE})
"""The wires on which a request can name a service tier."""


class AuthKind(StrEnum):
    NONE = "none"
    GOOGLE_ID_TOKEN = "google_id_token"  # noqa: S105 - the name of a kind, no secret
    GOOGLE_ACCESS_TOKEN = "google_access_token"  # noqa: S105 - as above
    ENTRA = "entra"
    STATIC_BEARER = "static_bearer"
    AWS_KEY = "aws_key"
    AWS_SIGV4 = "aws_sigv4"


class OutputLimit(StrEnum):
    """The field of a Chat Completions request that limits the answer's tokens."""

    MAX_TOKENS = "max_tokens"
    MAX_COMPLETION_TOKENS = "max_completion_tokens"


class SamplingField(StrEnum):
    """A sampling parameter that most models accept and some reject."""

    TEMPERATURE = "temperature"
    TOP_P = "top_p"


class ContinuationMode(StrEnum):
    """How a backend continues an answer that was cut off."""

    ASSISTANT_PREFILL = "assistant_prefill"
    CONTINUE_FINAL_MESSAGE = "continue_final_message"
    NO = "no"


class ImageMode(StrEnum):
    """How a backend gets images that the caller names by an address."""

    DATA = "data"
    """It takes images as data only."""
    FETCH = "fetch"
    """The product loads them and sends them as data."""
    ADDRESS = "address"
    """It gets the address and loads the image itself."""


class LogprobsMode(StrEnum):
    """In which answers a backend returns the log probabilities of tokens."""

    NO = "no"
    TEXT = "text"
    """In those to requests without tools: llama.cpp rejects both together."""
    YES = "yes"


class FinishReason(StrEnum):
    """Why an answer of Chat Completions ended well. Every other reason is a failure."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    FUNCTION_CALL = "function_call"
    CONTENT_FILTER = "content_filter"


class Model(Struct, frozen=True, kw_only=True):
    """`tier` ranks quality from 1 to 5. The shape (gigabytes of weights as deployed, layers, heads) may be unknown.

    `tokenizer` is the path of its `tokenizer.json`.
    """

    name: str
    context_tokens: int
    tier: int
    capabilities: frozenset[Capability] = frozenset()
    weights_gb: float | None = None
    layers: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    tokenizer: str | None = None

    @property
    def abilities(self) -> frozenset[Capability]:
        """What it can do: one that can be held to a schema calls functions by that."""
        by_schema = {Capability.TOOLS} if Capability.JSON_SCHEMA in self.capabilities else set[Capability]()
        return self.capabilities | by_schema


class Auth(Struct, frozen=True, kw_only=True):
    """How a call proves who we are. `setting` names the environment variable that holds a static bearer token.

    `service_account` (Google) and `role` (an ARN of AWS) are the ones to act as, where they are not the app's usual
    ones. `service` and `region` are those of AWS that a signature is for.
    """

    kind: AuthKind = AuthKind.NONE
    audience: str | None = None
    scope: str | None = None
    setting: str | None = None
    service_account: str | None = None
    service: str | None = None
    region: str | None = None
    role: str | None = None


class BackendLimits(Struct, frozen=True, kw_only=True):
    """What one deployment bears. `concurrency` counts requests at once; None means unknown or unlimited.

    `kv_tokens` is the KV memory of one instance, in tokens.
    """

    context_tokens: int
    max_output_tokens: int
    concurrency: int
    request_timeout_s: float
    request_bytes: int | None = None
    gpu_memory_gb: float | None = None
    kv_value_bytes: float = 2
    kv_tokens: int | None = None


class ColdStart(Struct, frozen=True, kw_only=True):
    """How a backend starts: quantiles of a cold start, how long a warm-up is held, how long it stays warm when idle.

    `abandoned_starts` tells whether a start continues after the request that caused it is dropped.
    """

    scales_to_zero: bool = False
    p50_s: float = 0.0
    p99_s: float = 0.0
    warm_up_hold_s: float = 2.0
    abandoned_starts: bool = True
    idle_s: float = 0.0


class Speed(Struct, frozen=True, kw_only=True):
    """Tokens a second of one request: the initial speed until attempts have been measured."""

    prefill_tokens_s: float
    decode_tokens_s: float


class Backend(Discreet, frozen=True, kw_only=True):
    """One deployment of one model on one system. `signatures` are its own rows, then those of its system.

    `finish_reasons` maps its system's own finish reasons to those of Chat Completions. `headers` are sent with every
    request and can contain secrets. `streams` is False where the server sends an answer only as a whole. `images` is
    how it gets images that callers name by an address. `service_tier` is the tier that each request asks for.
    `max_instances` is how many instances of it may run at once; its limits are those of one.
    """

    concealed: ClassVar = ("headers",)

    name: str
    model: str
    system: str
    url: str
    served_model: str
    price: Price
    limits: BackendLimits
    speed: Speed
    adapter: Adapter = Adapter.OPENAI
    auth: Auth = field(default_factory=Auth)
    cold_start: ColdStart = field(default_factory=ColdStart)
    continues: ContinuationMode = ContinuationMode.NO
    region: str | None = None
    residency: str | None = None
    signatures: tuple[FailureSignature, ...] = ()
    finish_reasons: Mapping[str, FinishReason] = field(default_factory=dict[str, FinishReason])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    probe: Probe = field(default_factory=Probe)
    output_limit: OutputLimit = OutputLimit.MAX_TOKENS
    sampling: tuple[SamplingField, ...] = tuple(SamplingField)
    reasoning_input: ReasoningInputMode = ReasoningInputMode.NO
    reasoning: ReasoningFormat = ReasoningFormat.FIELDS
    streams: bool = True
    images: ImageMode = ImageMode.DATA
    service_tier: ServiceTier | None = None
    logprobs: LogprobsMode = LogprobsMode.NO
    token_counting: TokenCounting | None = None
    prompt: PromptFormat | None = None
    scaling: Scaling = Scaling.PROVIDER
    instances: InstanceControl | None = None
    max_instances: int = 1

    @property
    def abilities(self) -> frozenset[Capability]:
        """What the deployment itself can do, whichever model it serves."""
        addressed = {Capability.IMAGE_ADDRESS} if self.images is not ImageMode.DATA else set[Capability]()
        scored = {Capability.LOGPROBS} if self.logprobs is not LogprobsMode.NO else set[Capability]()
        return frozenset(addressed | scored) - self.inexpressible

    @property
    def inexpressible(self) -> frozenset[Capability]:
        """The capabilities that its adapter cannot express."""
        return INEXPRESSIBLE[self.adapter]


class UnconfiguredBackend(Struct, frozen=True, kw_only=True):
    """A backend that is left out because a variable that its entry names is not set."""

    backend: str
    model: str
    variable: str


class Fleet(Struct, frozen=True, kw_only=True):
    """`callers` says where data may go, and what waiting is worth; `auto` which tiers are good enough for `auto`."""

    models: Mapping[str, Model]
    backends: Mapping[str, Backend]
    unconfigured: tuple[UnconfiguredBackend, ...] = ()
    callers: TenantRules = field(default_factory=TenantRules)
    auto: AutoTiers | None = None

    @property
    def residencies(self) -> frozenset[str]:
        return frozenset(backend.residency for backend in self.backends.values() if backend.residency)

    def served_models(self) -> tuple[Model, ...]:
        """Return the models that a configured backend serves, in the order of the file."""
        served = {backend.model for backend in self.backends.values()}
        return tuple(model for model in self.models.values() if model.name in served)
