"""In which form does a server take a prompt and return its text, where it speaks none of the chat APIs?"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFormat:
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
