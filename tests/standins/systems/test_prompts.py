"""Which conversation does a ChatML prompt hold, and which limit do its parameters name?"""

from typing import Any

import pytest

from standins.systems.chat import BadCall
from standins.systems.prompts import TritonDoor, TritonOperation, chat_of, messages_of

ASK = "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nhi\nthere<|im_end|>\n"
OPEN = "<|im_start|>assistant\n"


def test_the_turns_of_a_prompt_are_read() -> None:
    asked = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi\nthere"}]
    assert messages_of(ASK + OPEN) == asked
    assert messages_of(f"{ASK}{OPEN}Hel") == [*asked, {"role": "assistant", "content": "Hel"}]


@pytest.mark.parametrize(
    "prompt",
    ["", "hi", OPEN[:-1], ASK, f"{ASK}{OPEN}Hello<|im_end|>\n", f"x{ASK}{OPEN}", f"{ASK}x{OPEN}", ASK + ASK[:22]],
)
def test_a_prompt_whose_last_turn_is_not_open_is_refused(prompt: str) -> None:
    with pytest.raises(BadCall, match="beginning of an assistant turn"):
        messages_of(prompt)


@pytest.mark.parametrize(
    ("parameters", "limit"),
    [({}, None), ({"max_tokens": 5}, 5), ({"max_new_tokens": 7}, 7), ({"max_new_tokens": 7, "max_tokens": 5}, 5)],
)
def test_a_limit_has_two_names(parameters: dict[str, Any], limit: int | None) -> None:
    assert chat_of([], parameters)["max_tokens"] == limit


def test_triton_knows_two_calls_and_the_outputs_that_are_wanted() -> None:
    door = TritonDoor()
    body = b'{"text_input": "<|im_start|>assistant\\n", "return_finish_reason": true, "return_num_input_tokens": false}'
    found = door.operation("/v2/models/m/generate", body)
    assert isinstance(found, TritonOperation)
    assert (found.streams, found.outputs) == (False, {"return_finish_reason"})
    streamed = door.operation("/v2/models/m/generate_stream", body)
    assert streamed is not None
    assert streamed.streams
    assert door.operation("/v2/models/m/infer", body) is None


def test_triton_refuses_to_stream_the_input() -> None:
    body = b'{"text_input": "<|im_start|>assistant\\n", "exclude_input_in_output": false}'
    assert TritonDoor().operation("/v2/models/m/generate", body) is not None
    with pytest.raises(BadCall, match="exclude_input_in_output"):
        TritonDoor().operation("/v2/models/m/generate_stream", body)
