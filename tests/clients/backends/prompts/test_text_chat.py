"""Which calls can be told as texts alone?"""

from copy import replace
from typing import Any

import pytest

from clients.backends.prompts.text_chat import TextChat, text_chat
from domain.content.items import ImageInput, Item, ItemKind, Role
from domain.content.tools import FunctionTool, OutputFormat, OutputFormatKind, ToolConfig
from domain.turns.response import Sampling
from tests.clients.backends.model_server import backend_at, call

BACKEND = backend_at("http://127.0.0.1:1")


def said(role: Role, text: str, **changes: Any) -> Item:
    return Item(id="i", role=role, text=text, **changes)


def test_the_system_s_texts_are_one_and_the_others_stay_in_order() -> None:
    items = (said(Role.SYSTEM, "Be brief."), said(Role.ASSISTANT, "Hi."), said(Role.USER, "Hello"))
    found = text_chat(BACKEND, replace(call(), instructions="Be kind.", items=items, sampling=Sampling(top_p=0.9)))
    assert found == TextChat(
        system="Be kind.\n\nBe brief.",
        spoken=[{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Hello"}],
        sampling={"top_p": 0.9},
    )


FUNCTION = FunctionTool(name="look")
IMAGE = said(Role.USER, "See", images=(ImageInput(url="data:image/png;base64,iVBORw0KGgo="),))
OUTPUT = (
    Item(id="i", kind=ItemKind.FUNCTION_CALL, name="look", call_id="c", text="{}"),
    Item(id="i", kind=ItemKind.FUNCTION_OUTPUT, call_id="c", text="1"),
)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"tools": ToolConfig(functions=(FUNCTION,))}, "neither functions nor schemas"),
        (
            {"tools": ToolConfig(format=OutputFormat(kind=OutputFormatKind.JSON_OBJECT))},
            "neither functions nor schemas",
        ),
        ({"items": (IMAGE,)}, "text only"),
        ({"items": OUTPUT}, "text only"),
    ],
)
def test_what_is_no_text_has_no_form(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        text_chat(BACKEND, replace(call(), **changes))
