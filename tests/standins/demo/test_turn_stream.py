"""Does the demo notice a stream that is not whole?"""

from typing import Any

import pytest
from openai.types.responses import Response, ResponseCompletedEvent, ResponseTextDeltaEvent

from standins.demo.turn_stream import DemoError, TurnReader


def delta(number: int, text: str) -> ResponseTextDeltaEvent:
    return ResponseTextDeltaEvent.model_construct(
        type="response.output_text.delta", sequence_number=number, item_id="m", delta=text
    )


def completed(number: int, text: str, status: str = "completed") -> ResponseCompletedEvent:
    content: list[dict[str, Any]] = [{"type": "output_text", "text": text, "annotations": []}]
    item: dict[str, Any] = {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }
    fields: dict[str, Any] = {"id": "r", "created_at": 0, "model": "m", "object": "response", "output": [item]}
    required: dict[str, Any] = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "status": status}
    response = Response.model_validate({**fields, **required})
    return ResponseCompletedEvent(type="response.completed", sequence_number=number, response=response)


def reader_of(*events: ResponseTextDeltaEvent | ResponseCompletedEvent) -> TurnReader:
    reader = TurnReader()
    for event in events:
        reader.read(event)
    return reader


def test_a_complete_stream_passes() -> None:
    assert reader_of(delta(0, "a"), delta(1, "b"), completed(2, "ab")).checked_response().output_text == "ab"


@pytest.mark.parametrize(
    ("reader", "expectation"),
    [
        (reader_of(delta(0, "a")), "without a final event"),
        (reader_of(delta(0, "a"), completed(2, "a")), "no gap"),
        (reader_of(delta(0, "a"), delta(0, "a"), completed(1, "aa")), "no gap"),
        (reader_of(delta(0, "a"), completed(1, "b")), "what was streamed"),
        (reader_of(delta(0, "a"), completed(1, "a", "failed")), "succeeds .status failed."),
        (reader_of(completed(0, "")), "there is an answer"),
    ],
)
def test_a_failed_check_states_its_expectation(reader: TurnReader, expectation: str) -> None:
    with pytest.raises(DemoError, match=expectation):
        reader.checked_response()
