"""Is an answer of a function found in each form that Lambda wraps it in?"""

import base64
import json
from typing import Any

import pytest

from clients.backends.formats.decoders import JsonLinesDecoder, StreamError, WholeJsonDecoder
from clients.backends.formats.event_stream import Message, MessageKind
from clients.backends.formats.sse import SseDecoder
from clients.backends.invocations.lambda_invoke import (
    COMPLETE,
    PRELUDE_END,
    FailedAnswer,
    chosen_decoder,
    chunk_and_log,
    content_of,
    status_and_type,
)


def http(status: Any = 200, **more: Any) -> bytes:
    return json.dumps({"statusCode": status, **more}).encode()


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (b'{"choices": []}', b'{"choices": []}'),
        (b"[1]", b"[1]"),
        (http(body='{"choices": []}'), b'{"choices": []}'),
        (http(201, body=base64.b64encode(b"x").decode(), isBase64Encoded=True), b"x"),
        (http(204), b""),
    ],
)
def test_the_content_is_the_body_or_that_of_the_response_in_it(body: bytes, content: bytes) -> None:
    assert content_of(body) == content


def test_a_response_with_an_error_has_its_status() -> None:
    with pytest.raises(StreamError) as caught:
        content_of(http(503, body="busy"))
    assert (caught.value.status, caught.value.body) == (503, b"busy")


def test_the_type_of_a_response_is_found_in_any_case() -> None:
    assert status_and_type(http(200, headers={"Content-TYPE": "application/json"})) == (200, "application/json")
    assert status_and_type(http(404, headers=None)) == (404, "")


@pytest.mark.parametrize("prelude", [b"", b"no JSON", b"[]", b"{}", http(999), http("x"), http(headers=[1])])
def test_what_has_no_status_is_refused(prelude: bytes) -> None:
    with pytest.raises(ValueError, match="the answer has no status"):
        status_and_type(prelude)


@pytest.mark.parametrize(
    ("beginning", "kind", "rest"),
    [
        (b"", None, b""),
        (b'{"statusCode": 2', None, b""),
        (b"data: 1\n\n", SseDecoder, b"data: 1\n\n"),
        (http() + PRELUDE_END + b"data: 1", SseDecoder, b"data: 1"),
        (http(headers={"content-type": "application/json"}) + PRELUDE_END + b"{", WholeJsonDecoder, b"{"),
        (http(headers={"content-type": "application/x-ndjson"}) + PRELUDE_END, JsonLinesDecoder, b""),
        (http(500) + PRELUDE_END + b"busy", FailedAnswer, b"busy"),
    ],
)
def test_the_beginning_of_a_stream_decides_how_it_is_read(beginning: bytes, kind: type | None, rest: bytes) -> None:
    decoder, left = chosen_decoder(beginning)
    assert (None if decoder is None else type(decoder), left) == (kind, rest)


def message(payload: bytes, event: str = COMPLETE, error: str = "") -> Message:
    return Message(kind=MessageKind(event=event, error=error), payload=payload)


def test_the_end_of_a_stream_has_the_log_or_the_failure() -> None:
    assert chunk_and_log(message(b"abc", "PayloadChunk")) == (b"abc", "")
    assert chunk_and_log(message(b'{"LogResult": "bG9n"}')) == (b"", "bG9n")
    assert chunk_and_log(message(b"")) == (b"", "")
    with pytest.raises(ValueError, match="the end of the stream is malformed"):
        chunk_and_log(message(b"[]"))
    for failed in (message(b'{"ErrorCode": "Unhandled"}'), message(b"", error="Unhandled")):
        with pytest.raises(StreamError) as caught:
            chunk_and_log(failed)
        assert (caught.value.name, caught.value.status) == ("Unhandled", 424)
