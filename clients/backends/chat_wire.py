"""How does a backend that speaks Chat Completions expect its requests, and how does it answer?"""

from collections.abc import Mapping
from typing import Any

from clients.backends.chat_request import request_body
from clients.backends.chat_stream import ChatStreamParser
from clients.backends.formats.decoders import Decoder, decoder_for
from clients.backends.port import BackendCall
from domain.fleet.catalog import Backend


class ChatWire:
    """OpenAI's Chat Completions."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.base = backend.url
        self.address = f"{backend.url}/chat/completions"
        self.headers: Mapping[str, str] = {"accept": "text/event-stream" if backend.streams else "application/json"}

    def body(self, call: BackendCall) -> Mapping[str, Any]:
        return request_body(self.backend, call)

    def one_token(self) -> Mapping[str, Any]:
        messages = [{"role": "user", "content": "."}]
        chat = {"model": self.backend.served_model, "messages": messages, "stream": False}
        return {**chat, self.backend.output_limit.value: 1}

    def decoder(self, headers: Mapping[str, str]) -> Decoder | None:
        return decoder_for(headers.get("content-type", ""), streams=self.backend.streams)

    def parser(self) -> ChatStreamParser:
        return ChatStreamParser(self.backend.finish_reasons)
