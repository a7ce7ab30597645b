"""In which formats does a server send an answer, and which frames does a body in each of them contain?"""

from http import HTTPStatus
from typing import Final, Protocol

from clients.backends.formats.sse import FRAME_LIMIT, SseDecoder

WHOLE_LIMIT: Final = 16_000_000
JSON_LINES: Final = ("application/x-ndjson", "application/jsonlines", "application/jsonl", "application/json-lines")


MALFORMED: Final = (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, RecursionError)
"""What reading a frame raises whose JSON or whose fields are not those of its format."""


class StreamError(Exception):
    """The server reports an error inside a body whose own status is 200.

    `name` is AWS's name of the error, or empty. `status` is that of the same error outside a body.
    """

    def __init__(self, name: str, status: HTTPStatus | int, body: bytes = b"") -> None:
        super().__init__(f"the stream ends with the error {name} {status}")
        self.name = name
        self.status = int(status)
        self.body = body


class Decoder(Protocol):
    """Splits a body that arrives in chunks into its frames.

    Both methods raise ValueError for an oversized or damaged frame, and StreamError for an error of the server.
    """

    def feed(self, chunk: bytes) -> list[bytes]: ...

    def end(self) -> list[bytes]: ...


class JsonLinesDecoder:
    """Reads a body of which each line is one frame."""

    def __init__(self) -> None:
        self.incomplete_line = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        *lines, self.incomplete_line = (self.incomplete_line + chunk).split(b"\n")
        if len(self.incomplete_line) > FRAME_LIMIT:
            raise ValueError(f"a line of the answer is longer than {FRAME_LIMIT} bytes")
        return [frame for line in lines if (frame := line.strip())]

    def end(self) -> list[bytes]:
        return self.feed(b"\n")


class WholeJsonDecoder:
    """Reads a body that is one frame: the answer of a server that does not stream."""

    def __init__(self) -> None:
        self.body = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        self.body += chunk
        if len(self.body) > WHOLE_LIMIT:
            raise ValueError(f"the answer is longer than {WHOLE_LIMIT} bytes")
        return []

    def end(self) -> list[bytes]:
        return [bytes(self.body)] if self.body.strip() else []


def decoder_for(content_type: str, *, streams: bool) -> Decoder | None:
    """Return the decoder of an answer; None where its content type is none that the backend may send."""
    kind = media_type(content_type)
    if kind == "text/event-stream":
        return SseDecoder()
    if kind in JSON_LINES:
        return JsonLinesDecoder()
    return WholeJsonDecoder() if kind == "application/json" and not streams else None


def media_type(content_type: str) -> str:
    """Return a content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()
