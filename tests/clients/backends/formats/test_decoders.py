"""Which decoder reads an answer, and does it find the same frames however the body is cut?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.backends.formats.decoders import (
    WHOLE_LIMIT,
    Decoder,
    JsonLinesDecoder,
    StreamError,
    WholeJsonDecoder,
    decoder_for,
    media_type,
)
from clients.backends.formats.sse import FRAME_LIMIT, SseDecoder


def frames(decoder: Decoder, *chunks: bytes) -> list[bytes]:
    return [*(frame for chunk in chunks for frame in decoder.feed(chunk)), *decoder.end()]


@given(lines=st.lists(st.sampled_from([b'{"a": 1}', b"", b"[]", b"  2 "])), cut=st.integers(1, 7), ends=st.booleans())
def test_each_line_is_a_frame_wherever_the_body_is_cut(lines: list[bytes], cut: int, *, ends: bool) -> None:
    body = b"\r\n".join(lines) + (b"\n" if ends else b"")
    chunks = [body[start : start + cut] for start in range(0, len(body), cut)]
    assert frames(JsonLinesDecoder(), *chunks) == [line.strip() for line in lines if line]


def test_a_whole_body_is_one_frame() -> None:
    assert frames(WholeJsonDecoder(), b'{"a":', b" 1}") == [b'{"a": 1}']
    assert frames(WholeJsonDecoder(), b" \n") == []


def test_a_line_and_a_body_have_a_longest_length() -> None:
    lines = JsonLinesDecoder()
    assert lines.feed(b" " * FRAME_LIMIT) == []
    with pytest.raises(ValueError, match="a line of the answer is longer than"):
        lines.feed(b" ")
    with pytest.raises(ValueError, match="the answer is longer than"):
        WholeJsonDecoder().feed(bytes(WHOLE_LIMIT + 1))


@pytest.mark.parametrize(
    ("content_type", "streams", "kind"),
    [
        ("text/event-stream", True, SseDecoder),
        ("Text/Event-Stream; charset=utf-8", False, SseDecoder),
        ("application/x-ndjson", True, JsonLinesDecoder),
        ("application/jsonl", False, JsonLinesDecoder),
        ("application/json", False, WholeJsonDecoder),
        ("application/json", True, None),
        ("text/html", False, None),
        ("", True, None),
    ],
)
def test_the_content_type_decides(content_type: str, kind: type[Decoder] | None, *, streams: bool) -> None:
    found = decoder_for(content_type, streams=streams)
    assert (None if found is None else type(found)) is kind


def test_a_media_type_has_no_parameters() -> None:
    assert media_type(" Application/JSON ; charset=utf-8") == "application/json"


def test_an_error_in_a_body_has_its_status() -> None:
    error = StreamError("throttlingException", 429, b"{}")
    assert (error.name, error.status, error.body) == ("throttlingException", 429, b"{}")
    assert str(error) == "the stream ends with the error throttlingException 429"
