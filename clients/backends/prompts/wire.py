"""How does a backend expect its requests that takes a prompt, and how does it answer?

The fleet file gives the form of both: one wire serves Triton's `generate`, `infer` of the Open Inference Protocol and
the scoring of Azure Machine Learning.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from clients.backends.formats.decoders import Decoder, decoder_for
from clients.backends.port import BackendCall
from clients.backends.prompts.answer import PromptAnswerParser
from clients.backends.prompts.templates import prompt_of
from clients.backends.prompts.text_chat import text_chat
from domain.fleet.catalog import Backend
from domain.fleet.request_forms import Placeholder, PromptFormat, PromptTemplate

ABSENT: Final = object()
"""Stands for a value that the call does not set."""


class PromptWire:
    """A wire whose requests and answers are data. Raises ValueError for a backend without a prompt format."""

    def __init__(self, backend: Backend) -> None:
        if backend.prompt is None:
            raise ValueError(f"the backend {backend.name} has no prompt format")
        self.backend = backend
        self.form: PromptFormat = backend.prompt
        self.base = backend.url
        self.address = f"{backend.url}/{self.form.path}"
        self.headers: Mapping[str, str] = {"accept": "text/event-stream" if backend.streams else "application/json"}

    def body(self, call: BackendCall) -> Mapping[str, Any]:
        chat = text_chat(self.backend, call)
        values: dict[str, Any] = {
            Placeholder.MAX_OUTPUT_TOKENS: call.max_output_tokens,
            **{f"{{{name}}}": value for name, value in chat.sampling.items()},
        }
        if self.form.template is None:
            system = [{"role": "system", "content": chat.system}] if chat.system else []
            return filled(self.form.body, {**values, Placeholder.MESSAGES: [*system, *chat.spoken]})
        prompt = prompt_of(self.form.template, chat.system, chat.spoken, partial=bool(call.partial))
        return filled(self.form.body, {**values, Placeholder.PROMPT: prompt})

    def one_token(self) -> Mapping[str, Any]:
        messages = [{"role": "user", "content": "."}]
        prompt = prompt_of(self.form.template or PromptTemplate.DIALOGUE, "", messages, partial=False)
        values: dict[str, Any] = {
            Placeholder.MESSAGES: messages,
            Placeholder.PROMPT: prompt,
            Placeholder.MAX_OUTPUT_TOKENS: 1,
        }
        return filled(self.form.body, values)

    def decoder(self, headers: Mapping[str, str]) -> Decoder | None:
        return decoder_for(headers.get("content-type", ""), streams=self.backend.streams)

    def parser(self) -> PromptAnswerParser:
        return PromptAnswerParser(self.form, self.backend.finish_reasons)


def filled(body: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with the values of its placeholders."""
    found = with_values(body, values)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def with_values(part: Any, values: Mapping[str, Any]) -> Any:
    """Return a part with its values, or ABSENT.

    A field without a value is left out. A list without one is left out with the table that it belongs to, like a
    tensor without data.
    """
    if isinstance(part, Mapping):
        fields = {name: with_values(each, values) for name, each in cast("Mapping[str, Any]", part).items()}
        if any(value is ABSENT and isinstance(part[name], list) for name, value in fields.items()):
            return ABSENT
        return {name: value for name, value in fields.items() if value is not ABSENT}
    if isinstance(part, list):
        whole = cast("list[Any]", part)
        elements = [with_values(each, values) for each in whole]
        if any(each is ABSENT and not isinstance(was, Mapping) for each, was in zip(elements, whole, strict=True)):
            return ABSENT
        return [each for each in elements if each is not ABSENT]
    return values.get(part, ABSENT) if isinstance(part, str) and part in Placeholder else part
