"""How does a backend that speaks Bedrock's Converse expect its requests, and how does it answer?"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from clients.backends.converse.frames import ConverseDecoder, WholeConverseDecoder
from clients.backends.converse.request import converse_body
from clients.backends.converse.stream import ConverseStreamParser
from clients.backends.formats.decoders import Decoder, media_type
from clients.backends.formats.event_stream import CONTENT_TYPE
from clients.backends.port import BackendCall
from domain.fleet.catalog import Backend

JSON = "application/json"


class ConverseWire:
    """ConverseStream, or Converse where the backend does not stream. The model is a part of the address."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.base = f"{backend.url}/model/{quote(backend.served_model, safe='')}"
        self.address = f"{self.base}/{'converse-stream' if backend.streams else 'converse'}"
        self.headers: Mapping[str, str] = {"accept": CONTENT_TYPE if backend.streams else JSON}

    def body(self, call: BackendCall) -> Mapping[str, Any]:
        return converse_body(self.backend, call)

    def one_token(self) -> Mapping[str, Any]:
        message = {"role": "user", "content": [{"text": "."}]}
        return {"messages": [message], "inferenceConfig": {"maxTokens": 1}}

    def decoder(self, headers: Mapping[str, str]) -> Decoder | None:
        if media_type(headers.get("content-type", "")) != self.headers["accept"]:
            return None
        return ConverseDecoder() if self.backend.streams else WholeConverseDecoder()

    def parser(self) -> ConverseStreamParser:
        return ConverseStreamParser()
