"""How does a backend that speaks the Responses API expect its requests, and how does it answer?"""

from collections.abc import Mapping
from typing import Any

from clients.backends.formats.decoders import Decoder, decoder_for
from clients.backends.port import BackendCall
from clients.backends.responses.request import FEWEST_TOKENS, responses_body
from clients.backends.responses.stream import ResponsesStreamParser
from domain.fleet.catalog import Backend


class ResponsesWire:
    """OpenAI's Responses."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.base = backend.url
        self.address = f"{backend.url}/responses"
        self.headers: Mapping[str, str] = {"accept": "text/event-stream" if backend.streams else "application/json"}

    def body(self, call: BackendCall) -> Mapping[str, Any]:
        return responses_body(self.backend, call)

    def one_token(self) -> Mapping[str, Any]:
        """Return a request for as few tokens as the API allows."""
        model = self.backend.served_model
        return {"model": model, "input": ".", "max_output_tokens": FEWEST_TOKENS, "store": False}

    def decoder(self, headers: Mapping[str, str]) -> Decoder | None:
        return decoder_for(headers.get("content-type", ""), streams=self.backend.streams)

    def parser(self) -> ResponsesStreamParser:
        return ResponsesStreamParser()
