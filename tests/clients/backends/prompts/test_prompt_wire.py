"""Do the forms of the fleet file become requests, and their answers pieces, or a failure?"""

import json
from copy import replace
from typing import Any

import pytest

from clients.backends.port import AnswerEnd, BackendError, TextPiece
from clients.backends.prompts.answer import PromptAnswerParser, found_at
from clients.backends.prompts.wire import PromptWire, filled
from domain.fleet.catalog import Backend, FinishReason
from domain.fleet.failure_classes import FailureKind
from domain.fleet.request_forms import PromptFormat
from domain.log.events import TokenUsage
from domain.turns.response import Sampling
from tests.contracts.backends.scene import asking, backend_of

CHATML = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"


def shipped(name: str) -> Backend:
    return backend_of(name, "http://127.0.0.1:8000/v2/models/m")


def test_triton_gets_the_prompt_and_the_sampling_parameters() -> None:
    """As in the generate extension's own example: text_input, and the rest in parameters."""
    wire = PromptWire(shipped("triton-generate"))
    body = wire.body(asking("Hello", sampling=Sampling(temperature=0.5), max_output_tokens=7))
    assert wire.address == "http://127.0.0.1:8000/v2/models/m/generate_stream"
    assert body["text_input"] == CHATML
    assert body["parameters"] == {"max_tokens": 7, "temperature": 0.5}
    assert wire.one_token()["parameters"] == {"max_tokens": 1}


def test_infer_gets_the_prompt_as_a_tensor() -> None:
    body = PromptWire(shipped("kserve-infer")).body(asking("Hello"))
    assert body["inputs"] == [{"name": "text_input", "shape": [1], "datatype": "BYTES", "data": [CHATML]}]


def test_score_gets_the_messages() -> None:
    body = PromptWire(shipped("azure-ml-score")).body(asking("Hello", sampling=Sampling(top_p=0.9)))
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    parameters = {"max_new_tokens": 1024, "top_p": 0.9}
    assert body == {"input_data": {"input_string": messages, "parameters": parameters}}


def test_a_partial_answer_ends_the_prompt() -> None:
    body = PromptWire(shipped("triton-generate")).body(asking("Hello", partial="1 2"))
    assert body["text_input"] == f"{CHATML}1 2"


def test_a_value_that_the_call_does_not_set_is_left_out_with_its_tensor() -> None:
    tensor = {"name": "temperature", "shape": [1, 1], "datatype": "FP32", "data": ["{temperature}"]}
    body: dict[str, Any] = {"inputs": [{"name": "text", "data": ["{prompt}"]}, tensor], "p": {"t": "{temperature}"}}
    asked = {"{prompt}": "x"}
    assert filled(body, asked) == {"inputs": [{"name": "text", "data": ["x"]}], "p": {}}
    assert filled(body, {**asked, "{temperature}": 0.5})["inputs"][1] == {**tensor, "data": [0.5]}


def test_a_caller_s_text_is_never_a_placeholder() -> None:
    body = PromptWire(shipped("azure-ml-score")).body(asking("{max_output_tokens}"))
    assert body["input_data"]["input_string"][-1]["content"] == "{max_output_tokens}"


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
    parser = PromptWire(shipped(name)).parser()
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


def test_a_backend_without_a_form_has_no_wire() -> None:
    with pytest.raises(ValueError, match="no prompt format"):
        PromptWire(replace(shipped("triton-generate"), prompt=None))
