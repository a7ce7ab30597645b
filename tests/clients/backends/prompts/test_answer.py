"""Do the frames of a backend with a form of its own become pieces, or a failure?"""

import json
from typing import Any

import pytest

from clients.backends.port import AnswerEnd, BackendError, TextPiece
from clients.backends.prompts.answer import PromptAnswerParser, found_at
from clients.backends.prompts.wire import PromptWire
from domain.fleet.catalog import FinishReason
from domain.fleet.failure_classes import FailureKind
from domain.fleet.request_forms import PromptFormat
from domain.log.events import TokenUsage
from tests.contracts.backends.scene import backend_of


@pytest.mark.parametrize(
    ("pointer", "frame", "found"),
    [
        ("/outputs/0/data/0", {"outputs": [{"data": ["hi"]}]}, "hi"),
        ("/outputs/0/data/0/generated_text", {"outputs": [{"data": ['{"generated_text": "hi"}']}]}, "hi"),
        ("/a~1b/~0", {"a/b": {"~": 1}}, 1),
        ("/outputs/3", {"outputs": []}, None),
        ("/a/b", {"a": 1}, None),
        ("", {"a": 1}, None),
    ],
)
def test_a_pointer_names_a_part_of_an_answer(pointer: str, frame: Any, found: Any) -> None:
    """MLServer's Hugging Face runtime returns its object as a text of JSON."""
    assert found_at(pointer, frame) == found


def answer_to(name: str, *frames: dict[str, Any]) -> list[TextPiece | AnswerEnd]:
    parser = PromptWire(backend_of(name, "http://127.0.0.1:8000/v2/models/m")).parser()
    pieces = [piece for frame in frames for piece in parser.read(json.dumps(frame).encode())]
    return [*pieces, parser.end()]


def test_the_counts_of_triton_s_vllm_backend_are_added_up() -> None:
    """Each response counts its own output tokens; its finish reason is the text `None` until the last one."""
    first = {"text_output": "a", "finish_reason": "None", "num_input_tokens": 5, "num_output_tokens": 2}
    last = {"text_output": "b", "finish_reason": "length", "num_input_tokens": 5, "num_output_tokens": 1}
    *texts, end = answer_to("triton-generate", first, last)
    assert texts == [TextPiece(text="a"), TextPiece(text="b")]
    assert end == AnswerEnd(reason="length", usage=TokenUsage(input_tokens=5, output_tokens=3))


def test_a_server_without_counts_ends_well_with_its_body() -> None:
    assert answer_to("triton-generate", {"text_output": "a"})[-1] == AnswerEnd(reason="stop", usage=None)


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        ([{"error": "Error in processing request", "exception": "x"}], FailureKind.BAD_FRAME),
        ([{"text": "a"}], FailureKind.BAD_FRAME),
        ([{"text_output": ["a"]}], FailureKind.BAD_FRAME),
        ([], FailureKind.TRUNCATED),
        ([{"text_output": "a", "finish_reason": "None", "num_output_tokens": 1}], FailureKind.TRUNCATED),
        ([{"text_output": "a", "finish_reason": "abort"}], FailureKind.FINISH_REASON),
    ],
)
def test_what_is_no_answer_is_a_failure(frames: list[dict[str, Any]], kind: FailureKind) -> None:
    with pytest.raises(BackendError) as caught:
        answer_to("triton-generate", *frames)
    assert caught.value.failure.kind is kind


def test_a_system_s_own_finish_reasons_are_mapped() -> None:
    form = PromptFormat(path="p", body={}, answer="/t", finish_reason="/r")
    parser = PromptAnswerParser(form, {"MAX": FinishReason.LENGTH})
    parser.read(b'{"t": "a", "r": "MAX"}')
    assert parser.end().reason == "length"
