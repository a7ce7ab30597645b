"""Do the forms of the fleet file become requests?"""

from copy import replace
from typing import Any

import pytest

from clients.backends.prompts.wire import PromptWire, filled
from domain.fleet.catalog import Backend
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


def test_a_backend_without_a_form_has_no_wire() -> None:
    with pytest.raises(ValueError, match="no prompt format"):
        PromptWire(replace(shipped("triton-generate"), prompt=None))
