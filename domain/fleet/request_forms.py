"""Which forms have the requests of a backend: its probe, the count of a prompt, and prompts in a form of its own?"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct


class ProbeMethod(StrEnum):
    GET = "GET"
    POST = "POST"


class ProbeBody(StrEnum):
    NONE = "none"
    CHAT = "chat"
    """A chat that asks for one token: no server answers it without its model."""


class Probe(Struct, frozen=True, kw_only=True):
    """The request that starts a backend and proves that it is up, and what the statuses of its answer mean.

    `path` is relative to the backend's address, or to its origin where it begins with a slash. Statuses that are not
    listed are classified by the failure signatures.
    """

    method: ProbeMethod = ProbeMethod.GET
    path: str = "models"
    body: ProbeBody = ProbeBody.NONE
    up: tuple[int, ...] = (200,)
    starting: tuple[int, ...] = ()
    refused: tuple[int, ...] = ()


class TokenCounting(Struct, frozen=True, kw_only=True):
    """Where a backend counts the tokens of a chat that it does not answer, and the `field` of its answer.

    `path` is as that of a probe.
    """

    path: str
    field: str


class PromptTemplate(StrEnum):
    """How a conversation becomes one text: the form that the model was trained on."""

    CHATML = "chatml"
    DIALOGUE = "dialogue"
    """For models without a form of their own."""
    GEMMA = "gemma"
    LLAMA3 = "llama3"
    MISTRAL = "mistral"
    PHI3 = "phi3"


class Placeholder(StrEnum):
    """A text of the body that stands for a value of the call."""

    PROMPT = "{prompt}"
    MESSAGES = "{messages}"
    MAX_OUTPUT_TOKENS = "{max_output_tokens}"
    TEMPERATURE = "{temperature}"
    TOP_P = "{top_p}"


class PromptFormat(Struct, frozen=True, kw_only=True):
    """The request and the answer of one kind of server.

    `path` is relative to the backend's address. `body` is the request with placeholders. `answer`, `finish_reason`,
    `input_tokens` and `output_tokens` are JSON pointers (RFC 6901) into each frame of the answer; an empty one means
    that the server does not tell. `template` is None where the server takes messages.
    """

    path: str
    body: Mapping[str, Any]
    answer: str
    template: PromptTemplate | None = None
    finish_reason: str = ""
    input_tokens: str = ""
    output_tokens: str = ""


class ServiceTier(StrEnum):
    """The tiers that requests of OpenAI (openai 3.54) and Amazon Bedrock (botocore 1.44.8) can name."""

    DEFAULT = "default"
    FAST = "fast"
    FLEX = "flex"
    PRIORITY = "priority"
    RESERVED = "reserved"
    SCALE = "scale"
