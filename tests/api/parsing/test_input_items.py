"""Is every item of an input read, or rejected with the field that is wrong?"""

from typing import Any

import pytest

from api.parsing.input_items import ITEMS_LIMIT, InputItem, ItemReference, read_input
from domain.content.items import ImageInput, Item, ItemKind, ItemStatus, Role
from domain.errors import Invalid

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


DOT = "data:image/png;base64,AAAA"


@pytest.mark.parametrize(("value", "items"), INPUTS.values(), ids=INPUTS)
def test_input_is_parsed_into_items(value: Any, items: tuple[InputItem, ...]) -> None:
    assert read_input(value) == items


@pytest.mark.parametrize(("value", "field"), WRONG_INPUTS.values(), ids=WRONG_INPUTS)
def test_invalid_input_is_rejected_with_its_field(value: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_input(value)
    assert caught.value.field == field
    assert field in str(caught.value)


def test_an_image_knows_its_place_in_the_text_and_in_the_request() -> None:
    image = {"type": "input_image", "image_url": DOT, "detail": "low"}
    parts = [
        {"type": "input_text", "text": "ab"},
        image,
        {"type": "input_text", "text": "c"},
        {**image, "detail": None},
    ]
    message, output = read_input(
        [{"role": "user", "content": parts}, {"type": "function_call_output", "call_id": "c", "output": parts[1:]}]
    )
    assert isinstance(message, Item)
    assert isinstance(output, Item)
    assert (message.text, output.text) == ("abc", "c")
    assert message.images == (
        ImageInput(url=DOT, detail="low", at=2, path="input[0].content[1].image_url"),
        ImageInput(url=DOT, detail="auto", at=3, path="input[0].content[3].image_url"),
    )
    assert [(each.at, each.path) for each in output.images] == [
        (0, "input[1].output[0].image_url"),
        (1, "input[1].output[2].image_url"),
    ]


def test_the_call_of_a_custom_tool_keeps_its_text_and_its_namespace() -> None:
    call = {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "SELECT 1", "namespace": "db"}
    (item,) = read_input([call])
    assert isinstance(item, Item)
    assert (item.kind, item.is_custom, item.namespace) == (ItemKind.FUNCTION_CALL, True, "db")
    (output,) = read_input([{"type": "custom_tool_call_output", "call_id": "c", "output": "1"}])
    assert isinstance(output, Item)
    assert (output.kind, output.is_custom, output.text) == (ItemKind.FUNCTION_OUTPUT, True, "1")
