"""How does Lambda's Invoke wrap a Chat Completions request and its answer?

The function gets the body as its event. A server behind the Lambda Web Adapter answers in the form of an HTTP response:
its status and headers come before its body, as JSON (botocore's service model `lambda/2015-03-31`; the adapter's
documentation of response streaming; https://github.com/awslabs/aws-sdk-rust/issues/1377).
"""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, cast

from clients.backends.chat_wire import ChatWire
from clients.backends.formats.decoders import (
    MALFORMED,
    WHOLE_LIMIT,
    Decoder,
    StreamError,
    WholeJsonDecoder,
    decoder_for,
    media_type,
)
from clients.backends.formats.event_stream import CONTENT_TYPE, EventStream, Message
from clients.backends.formats.sse import SseDecoder
from clients.backends.invocations.lambda_bill import LOG_RESULT, LOG_TAIL, BilledChatParser, billed_frames
from domain.fleet.catalog import LAMBDA_FUNCTIONS, Backend

STREAMING: Final = "2021-11-15"
WHOLE: Final = "2015-03-31"
FUNCTION_ERROR: Final = "x-amz-function-error"
INNER_STATUS: Final = re.compile(r'\s*\{\s*"statusCode"\s*:\s*(\d{3})\b')
PRELUDE_END: Final = bytes(8)
COMPLETE: Final = "InvokeComplete"
DONE: Final = b"[DONE]"


class LambdaWire(ChatWire):
    """InvokeWithResponseStream, or Invoke where the backend does not stream.

    The address of a backend ends with `/functions/NAME`; the version of the API is put before that.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        origin, _, name = backend.url.rpartition(LAMBDA_FUNCTIONS)
        self.base = f"{origin}/{WHOLE}{LAMBDA_FUNCTIONS}{name}"
        self.address = f"{self.base}/invocations"
        self.headers = {**self.headers, **LOG_TAIL}
        if backend.streams:
            self.address = f"{origin}/{STREAMING}{LAMBDA_FUNCTIONS}{name}/response-streaming-invocations"
            self.headers = {"accept": CONTENT_TYPE, **LOG_TAIL}

    def inner_status(self, headers: Mapping[str, str], beginning: str) -> int | None:
        """Return the status of the function's own answer in an invocation that has succeeded."""
        found = INNER_STATUS.match(beginning)
        if headers.get(FUNCTION_ERROR):
            return HTTPStatus.FAILED_DEPENDENCY
        return int(found[1]) if found else None

    def decoder(self, headers: Mapping[str, str]) -> Decoder | None:
        if error := headers.get(FUNCTION_ERROR):
            return FailedAnswer(HTTPStatus.FAILED_DEPENDENCY, error)
        kind = media_type(headers.get("content-type", ""))
        if self.backend.streams:
            return ChunkDecoder() if kind == CONTENT_TYPE else None
        return HttpJsonDecoder(headers.get(LOG_RESULT, "")) if kind == "application/json" else None

    def parser(self) -> BilledChatParser:
        return BilledChatParser(self.backend.finish_reasons)


class FailedAnswer(WholeJsonDecoder):
    """Reads what a function says that failed, although its invocation has succeeded."""

    def __init__(self, status: HTTPStatus, name: str = "") -> None:
        super().__init__()
        self.status = status
        self.name = name

    def end(self) -> list[bytes]:
        """Raise StreamError."""
        raise StreamError(self.name, self.status, bytes(self.body))


class HttpJsonDecoder(WholeJsonDecoder):
    """Reads an answer that is a chat completion, or an HTTP response in JSON that contains one.

    `log` is the end of the function's log in base64.
    """

    def __init__(self, log: str = "") -> None:
        super().__init__()
        self.log = log

    def end(self) -> list[bytes]:
        """Return the answer. Raises ValueError for another body, and StreamError for a response with an error."""
        return [*(content_of(body) for body in super().end()), *billed_frames(self.log)]


def content_of(body: bytes) -> bytes:
    response: Any = json.loads(body)
    if not isinstance(response, dict) or "statusCode" not in response:
        return body
    status, _ = status_and_type(body)
    found = cast("dict[str, Any]", response)
    text = str(found.get("body") or "")
    content = b64decode(text) if found.get("isBase64Encoded") else text.encode()
    if not status.is_success:
        raise StreamError("", status, content)
    return content


def status_and_type(prelude: bytes) -> tuple[HTTPStatus, str]:
    """Return status and content type of an HTTP response in JSON. Raises ValueError where it is none."""
    try:
        response: Mapping[str, Any] = json.loads(prelude)
        headers: Mapping[str, Any] = response.get("headers") or {}
        content_type = next((str(value) for name, value in headers.items() if name.lower() == "content-type"), "")
        return HTTPStatus(response["statusCode"]), content_type
    except MALFORMED as error:
        raise ValueError("the answer has no status") from error


class ChunkDecoder:
    """Splits the function's own stream, which arrives in messages, into its frames.

    It may begin with the status and the headers of an HTTP response, which eight zero bytes end.
    """

    def __init__(self) -> None:
        self.stream = EventStream()
        self.beginning = b""
        self.inner: Decoder | None = None
        self.done: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the frames that this chunk completes. Raises ValueError and StreamError."""
        return [frame for message in self.stream.feed(chunk) for frame in self.read(message)]

    def read(self, message: Message) -> list[bytes]:
        """Return the frames of one message. What the function bills comes after the end of its own stream."""
        payload, log = chunk_and_log(message)
        found = self.frames(payload)
        self.done += [frame for frame in found if frame == DONE]
        frames = [*(frame for frame in found if frame != DONE), *billed_frames(log)]
        return frames if message.kind.event != COMPLETE else [*frames, *self.done]

    def end(self) -> list[bytes]:
        """Return the last frames. Raises StreamError where the response was one with an error."""
        if self.inner is None:
            self.inner = WholeJsonDecoder()
            self.inner.feed(self.beginning)
        return [*self.inner.end(), *self.done]

    def frames(self, payload: bytes) -> list[bytes]:
        if self.inner is None:
            self.beginning += payload
            self.inner, payload = chosen_decoder(self.beginning)
        return self.inner.feed(payload) if self.inner else []


def chunk_and_log(message: Message) -> tuple[bytes, str]:
    """Return the function's bytes, and the end of its log. Raises StreamError where it or its service failed."""
    if message.kind.error:
        raise StreamError(message.kind.error, HTTPStatus.FAILED_DEPENDENCY)
    if message.kind.event != COMPLETE:
        return message.payload, ""
    try:
        end: Mapping[str, Any] = json.loads(message.payload or b"{}")
        code, log = end.get("ErrorCode"), str(end.get("LogResult") or "")
    except MALFORMED as error:
        raise ValueError("the end of the stream is malformed") from error
    if code:
        raise StreamError(str(code), HTTPStatus.FAILED_DEPENDENCY, message.payload)
    return b"", log


def chosen_decoder(beginning: bytes) -> tuple[Decoder | None, bytes]:
    """Return how to read a stream that begins so, and what is left to read; None as long as that is not known."""
    prelude, found, body = beginning.partition(PRELUDE_END)
    if found:
        status, content_type = status_and_type(prelude)
        if not status.is_success:
            return FailedAnswer(status), body
        return decoder_for(content_type, streams=False) or SseDecoder(), body
    if not beginning.startswith(b"{"):
        return (SseDecoder(), beginning) if beginning else (None, b"")
    if len(beginning) > WHOLE_LIMIT:
        raise ValueError(f"the answer is longer than {WHOLE_LIMIT} bytes")
    return None, b""
