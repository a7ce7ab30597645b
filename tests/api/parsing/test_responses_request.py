"""Is every request parsed correctly, or rejected with the field that is wrong?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.parsing.field_rules import RESPONSE_FIELDS
from api.parsing.input_items import ITEMS_LIMIT, InputItem, ItemReference, read_input
from api.parsing.responses_request import DEADLINE_LIMIT_MS, TurnRequest, request_from_openai
from domain.content.items import Item, ItemKind, ItemStatus, Role
from domain.errors import Invalid
from domain.turns.response import Sampling

USER = Item(id="", role=Role.USER, text="hi")

INPUTS: dict[str, tuple[Any, tuple[InputItem, ...]]] = {
    "a text": ("hi", (USER,)),
    "an empty text": ("", (Item(id="", role=Role.USER),)),
    "a message without a type": ([{"role": "user", "content": "hi"}], (USER,)),
    "a message with everything": (
        [
            {
                "type": "message",
                "id": "msg_1",
                "role": "user",
                "status": "completed",
                "content": [{"type": "input_text", "text": "hi"}],
            }
        ],
        (USER,),
    ),
    "parts are joined": (
        [{"role": "user", "content": [{"type": "input_text", "text": "h"}, {"type": "input_text", "text": "i"}]}],
        (USER,),
    ),
    "every role": (
        [{"role": role, "content": "x"} for role in ("system", "developer", "user", "assistant")],
        tuple(Item(id="", role=role, text="x") for role in (Role.SYSTEM, Role.DEVELOPER, Role.USER, Role.ASSISTANT)),
    ),
    "an output item sent back as input": (
        [
            {
                "type": "message",
                "id": "msg_1",
                "status": "incomplete",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "ye", "annotations": [], "logprobs": []}],
            }
        ],
        (Item(id="", text="ye", status=ItemStatus.INCOMPLETE),),
    ),
    "a refusal": (
        [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
        (Item(id="", text="", refusal="no"),),
    ),
    "a call and its output": (
        [
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "c",
                "name": "f",
                "arguments": "{}",
                "status": "completed",
            },
            {"type": "function_call_output", "call_id": "c", "output": "4"},
            {"type": "function_call_output", "call_id": "d", "output": [{"type": "input_text", "text": "5"}]},
        ],
        (
            Item(id="", kind=ItemKind.FUNCTION_CALL, text="{}", name="f", call_id="c"),
            Item(id="", kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, text="4", call_id="c"),
            Item(id="", kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, text="5", call_id="d"),
        ),
    ),
    "reasoning": (
        [{"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "so"}], "content": None}],
        (Item(id="", kind=ItemKind.REASONING, text="so"),),
    ),
    "a reference": ([{"type": "item_reference", "id": "msg_1"}], (ItemReference(id="msg_1", field="input[0]"),)),
    "a reference without a type": (
        [{"id": "msg_1"}, {"id": "msg_2", "type": None}],
        (ItemReference(id="msg_1", field="input[0]"), ItemReference(id="msg_2", field="input[1]")),
    ),
}

WRONG_INPUTS: dict[str, tuple[Any, str]] = {
    "null": (None, "input"),
    "a number": (7, "input"),
    "an object": ({"role": "user"}, "input"),
    "no items": ([], "input"),
    "too many items": ([{"role": "user", "content": "x"}] * (ITEMS_LIMIT + 1), "input"),
    "an item that is a text": (["hi"], "input[0]"),
    "an unknown type": ([{"type": "web_search_call"}], "input[0].type"),
    "a type that is a list": ([{"type": ["message"]}], "input[0].type"),
    "no role": ([{"type": "message", "content": "x"}], "input[0].role"),
    "nothing at all": ([{}], "input[0].role"),
    "an unknown role": ([{"role": "user", "content": "x"}, {"role": "tool", "content": "x"}], "input[1].role"),
    "no content": ([{"role": "user"}], "input[0].content"),
    "content that is a number": ([{"role": "user", "content": 1}], "input[0].content"),
    "a part that is a text": ([{"role": "user", "content": ["x"]}], "input[0].content[0]"),
    "an image": ([{"role": "user", "content": [{"type": "input_image"}]}], "input[0].content[0].image_url"),
    "a part without text": ([{"role": "user", "content": [{"type": "input_text"}]}], "input[0].content[0].text"),
    "a text that is a number": (
        [{"role": "user", "content": [{"type": "text", "text": 1}]}],
        "input[0].content[0].text",
    ),
    "an unknown status": ([{"role": "user", "content": "x", "status": "done"}], "input[0].status"),
    "a call without arguments": ([{"type": "function_call", "call_id": "c", "name": "f"}], "input[0].arguments"),
    "an output without a call": ([{"type": "function_call_output", "output": "x"}], "input[0].call_id"),
    "a reference without an id": ([{"type": "item_reference"}], "input[0].id"),
    "a reference to a number": ([{"type": "item_reference", "id": 1}], "input[0].id"),
}

WRONG_FIELDS: list[tuple[str, Any, str]] = [
    ("model", 1, "invalid_type"),
    ("model", "", "invalid_value"),
    ("model", "x" * 201, "invalid_value"),
    ("instructions", ["be brief"], "invalid_type"),
    ("previous_response_id", 3, "invalid_type"),
    ("stream", "true", "invalid_type"),
    ("background", 1, "invalid_type"),
    ("store", "no", "invalid_type"),
    ("temperature", "0", "invalid_type"),
    ("temperature", True, "invalid_type"),
    ("temperature", -0.1, "invalid_value"),
    ("temperature", 2.1, "invalid_value"),
    ("top_p", 1.5, "invalid_value"),
    ("max_output_tokens", 1.0, "invalid_type"),
    ("max_output_tokens", 15, "invalid_value"),
    ("max_tool_calls", 0, "invalid_value"),
    ("prompt_cache_key", 7, "invalid_type"),
    ("safety_identifier", "x" * 513, "invalid_value"),
    ("service_tier", "fastest", "invalid_value"),
    ("max_output_tokens", 10**12, "invalid_value"),
    ("metadata", [], "invalid_type"),
    ("metadata", {str(number): "" for number in range(17)}, "invalid_value"),
]

WRONG_METADATA: list[tuple[str, Any]] = [
    ("a", 1),
    ("a", None),
    ("a", "x" * 513),
    ("k" * 65, "x"),
    ("deadline_ms", "0"),
    ("deadline_ms", "-5"),
    ("deadline_ms", "1.5"),
    ("deadline_ms", "soon"),
    ("deadline_ms", "٣"),
    ("deadline_ms", str(DEADLINE_LIMIT_MS + 1)),
    ("deadline_ms", "9" * 400),
]


@pytest.mark.parametrize(("value", "items"), INPUTS.values(), ids=INPUTS)
def test_input_is_parsed_into_items(value: Any, items: tuple[InputItem, ...]) -> None:
    assert read_input(value) == items


@pytest.mark.parametrize(("value", "field"), WRONG_INPUTS.values(), ids=WRONG_INPUTS)
def test_invalid_input_is_rejected_with_its_field(value: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_input(value)
    assert caught.value.field == field
    assert field in str(caught.value)


@pytest.mark.parametrize(("name", "value", "code"), WRONG_FIELDS)
def test_an_invalid_field_is_named(name: str, value: Any, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        request_from_openai({"input": "hi", name: value})
    assert (caught.value.field, caught.value.code) == (name, code)
    assert f"'{name}'" in str(caught.value)


@pytest.mark.parametrize(("key", "value"), WRONG_METADATA)
def test_invalid_metadata_is_rejected_by_its_key(key: str, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        request_from_openai({"input": "hi", "metadata": {key: value}})
    assert caught.value.field == f"metadata.{key}"


def test_a_turn_without_input_continues_the_previous_one() -> None:
    assert request_from_openai({"previous_response_id": "resp_1"}).input_items == ()


def test_absent_and_null_mean_the_same() -> None:
    names = ("model", "instructions", "stream", "background", "store", "temperature", "top_p", "metadata")
    assert request_from_openai({"input": "hi", **dict.fromkeys(names)}) == request_from_openai({"input": "hi"})


def test_every_field_is_honoured() -> None:
    request = request_from_openai(
        {
            "input": "hi",
            "model": "small@here",
            "instructions": "be brief",
            "previous_response_id": "resp_1",
            "stream": True,
            "background": True,
            "store": False,
            "temperature": 0,
            "top_p": 0.5,
            "max_output_tokens": 17,
            "metadata": {"deadline_ms": "1500", "a": ""},
            "user": "me",
        }
    )
    assert (request.model, request.instructions, request.previous) == ("small@here", "be brief", "resp_1")
    assert (request.stream, request.background, request.store) == (True, True, False)
    assert request.sampling == Sampling(temperature=0, top_p=0.5, max_output_tokens=17)
    assert (request.metadata, request.deadline_s) == ({"deadline_ms": "1500", "a": ""}, 1.5)
    assert request.ignored == ("user",)


WORDS = (
    st.sampled_from(["message", "user", "assistant", "input_text", "item_reference", "deadline_ms", "5"]) | st.text()
)
NAMES = st.sampled_from(["type", "role", "content", "text", "id", "output", "call_id", "format", "effort", "summary"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(), inner, max_size=5),
    max_leaves=15,
)
FIELDS = st.sampled_from([name for name in RESPONSE_FIELDS if "." not in name])


@given(st.dictionaries(FIELDS | st.text(), JSON, max_size=6), st.none() | st.just("hi") | JSON)
def test_any_object_is_parsed_or_rejected_with_a_message_and_code(body: dict[str, Any], text: Any) -> None:
    try:
        request = request_from_openai({**body, "input": text})
    except Invalid as error:
        message, code = str(error), error.code
    else:
        assert isinstance(request, TurnRequest)
        return
    assert message
    assert code


def test_notes_of_the_service_that_a_client_sends_back_are_dropped_and_named() -> None:
    metadata = {"topic": "sea", "ganglion_budget": "80 %", "ganglion_ending": "cancelled"}
    request = request_from_openai({"input": "hi", "metadata": metadata})
    assert request.metadata == {"topic": "sea"}
    assert request.ignored == ("metadata.ganglion_budget", "metadata.ganglion_ending")
