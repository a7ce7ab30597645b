"""Which address and which decoder does a SageMaker endpoint have, and what do its messages contain?"""

from copy import replace

import pytest

from clients.backends.formats.decoders import StreamError, WholeJsonDecoder
from clients.backends.formats.event_stream import CONTENT_TYPE
from clients.backends.invocations.sagemaker import INNER_TYPE, PayloadDecoder, SageMakerWire
from tests.clients.backends.formats.frames import frame
from tests.clients.backends.model_server import backend_at

STREAMED = replace(backend_at("https://sagemaker.example/endpoints/e"), streams=True)
WHOLE = replace(STREAMED, streams=False)


def part(payload: bytes) -> bytes:
    return frame({":message-type": "event", ":event-type": "PayloadPart"}, payload)


def decoder(inner: str) -> PayloadDecoder:
    found = SageMakerWire(STREAMED).decoder({"content-type": CONTENT_TYPE, INNER_TYPE: inner})
    assert isinstance(found, PayloadDecoder)
    return found


def test_a_stream_has_another_address_than_a_whole_answer() -> None:
    streamed, whole = SageMakerWire(STREAMED), SageMakerWire(WHOLE)
    assert streamed.address == "https://sagemaker.example/endpoints/e/invocations-response-stream"
    assert whole.address == "https://sagemaker.example/endpoints/e/invocations"
    assert streamed.headers == {"accept": CONTENT_TYPE, "x-amzn-sagemaker-accept": "text/event-stream"}
    assert whole.headers == {"accept": "application/json"}


@pytest.mark.parametrize("content_type", ["", "application/json", "text/event-stream", "application/octet-stream"])
def test_a_stream_of_another_type_has_no_decoder(content_type: str) -> None:
    assert SageMakerWire(STREAMED).decoder({"content-type": content_type}) is None


def test_the_type_of_a_stream_may_have_parameters_and_capitals() -> None:
    assert SageMakerWire(STREAMED).decoder({"content-type": f"{CONTENT_TYPE.upper()}; charset=utf-8"})


def test_a_whole_answer_is_read_as_the_container_wrote_it() -> None:
    wire = SageMakerWire(WHOLE)
    assert isinstance(wire.decoder({"content-type": "application/json"}), WholeJsonDecoder)
    assert wire.decoder({"content-type": CONTENT_TYPE}) is None


@pytest.mark.parametrize("inner", ["text/event-stream", "", "unknown"])
def test_a_frame_may_be_cut_between_messages_and_messages_between_chunks(inner: str) -> None:
    body = part(b'data: {"a"') + part(b': 1}\n\ndata: {"b": 2}') + part(b"\n\n")
    found = decoder(inner)
    frames = [each for at in range(0, len(body), 7) for each in found.feed(body[at : at + 7])]
    assert [*frames, *found.end()] == [b'{"a": 1}', b'{"b": 2}']


def test_a_whole_answer_may_come_in_messages_too() -> None:
    found = decoder("application/json")
    assert found.feed(part(b'{"a"') + part(b": 1}")) == []
    assert found.end() == [b'{"a": 1}']


def test_lines_of_json_end_with_the_last_line_although_no_newline_follows() -> None:
    found = decoder("application/jsonlines")
    assert found.feed(part(b'{"a": 1}\n{"b"') + part(b": 2}")) == [b'{"a": 1}']
    assert found.end() == [b'{"b": 2}']


@pytest.mark.parametrize(
    ("headers", "name", "status"),
    [
        ({":message-type": "exception", ":exception-type": "ModelStreamError"}, "ModelStreamError", 424),
        ({":message-type": "exception", ":exception-type": "InternalStreamFailure"}, "InternalStreamFailure", 500),
        ({":message-type": "exception", ":exception-type": "Another"}, "Another", 500),
        ({":message-type": "error", ":error-code": "Throttled"}, "Throttled", 500),
        ({}, "unknown", 500),
    ],
)
def test_an_error_in_mid_stream_has_its_name_and_status(headers: dict[str, str], name: str, status: int) -> None:
    found = decoder("text/event-stream")
    with pytest.raises(StreamError) as caught:
        found.feed(part(b"data: 1\n\n") + frame(headers, b'{"message": "secret"}'))
    assert (caught.value.name, caught.value.status, caught.value.body) == (name, status, b"")
