"""Has a whole answer of Converse the frames that a stream of it would have?"""

import json
from typing import Any

import pytest

from clients.backends.converse.frames import ConverseDecoder, WholeConverseDecoder
from tests.clients.backends.formats.frames import event, exception


def whole(*content: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    body = {"output": {"message": {"content": list(content)}}, "stopReason": "end_turn", **more}
    decoder = WholeConverseDecoder()
    assert decoder.feed(json.dumps(body).encode()) == []
    return [json.loads(frame) for frame in decoder.end()]


def delta(index: int, **changes: Any) -> dict[str, Any]:
    return {"contentBlockDelta": {"contentBlockIndex": index, "delta": changes}}


STOP = {"messageStop": {"stopReason": "end_turn"}}


def test_each_block_has_its_frames() -> None:
    found = whole(
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"text": "Hello."},
        {"image": {}},
        {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"n": 1}}},
        usage={"inputTokens": 1},
    )
    assert found == [
        delta(0, reasoningContent={"text": "hm"}),
        delta(1, text="Hello."),
        {"contentBlockStart": {"contentBlockIndex": 3, "start": {"toolUse": {"toolUseId": "t1", "name": "look"}}}},
        delta(3, toolUse={"input": '{"n": 1}'}),
        STOP,
        {"metadata": {"usage": {"inputTokens": 1}}},
    ]


def test_reasoning_that_is_hidden_has_no_text() -> None:
    assert whole({"reasoningContent": {"redactedContent": "xx"}}) == [delta(0, reasoningContent={"text": None}), STOP]


@pytest.mark.parametrize(
    "body",
    [[], {}, {"output": None}, {"output": {"message": {"content": [5]}}}, {"output": {"message": {"content": []}}}],
)
def test_another_body_is_no_answer(body: Any) -> None:
    decoder = WholeConverseDecoder()
    decoder.feed(json.dumps(body).encode())
    with pytest.raises(ValueError, match="the body is no answer of Converse"):
        decoder.end()


def test_the_frames_of_a_stream_are_named_by_their_events() -> None:
    decoder = ConverseDecoder()
    found = decoder.feed(event("messageStop", stopReason="end_turn") + exception("throttlingException"))
    stop, error = (json.loads(frame) for frame in found)
    assert stop["messageStop"]["stopReason"] == "end_turn"
    assert error == {"exception": {"type": "throttlingException"}}
    assert decoder.feed(event("messageStop")[:-1]) == []
    assert decoder.end() == []
