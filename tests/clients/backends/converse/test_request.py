"""Does Bedrock's own service model accept each request?"""

import base64
from collections.abc import Mapping
from copy import replace
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from clients.backends.converse.request import converse_body
from domain.content.items import ImageInput, Role
from domain.content.tools import OutputFormat, OutputFormatKind, ToolChoice, ToolConfig
from domain.fleet.request_forms import ServiceTier
from domain.turns.response import Sampling
from tests.checks import every
from tests.clients.backends.converse.conversations import CONVERSATION, LOOK, MODEL, backend, message
from tests.clients.backends.model_server import call


def problems_of(body: Mapping[str, Any]) -> str:
    """Return what botocore's service model finds wrong with a request."""
    session: Any = botocore.session.Session()
    shape = session.get_service_model("bedrock-runtime").operation_model("ConverseStream").input_shape
    validator: Any = ParamValidator()
    return validator.validate({"modelId": MODEL, **body}, shape).generate_report()


SCHEMA = OutputFormat(kind=OutputFormatKind.JSON_SCHEMA, name="answer", schema={"type": "object"})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"items": CONVERSATION},
        {"items": CONVERSATION, "tools": ToolConfig(functions=(LOOK,), tool_choice=ToolChoice.REQUIRED)},
        {"items": CONVERSATION, "tools": ToolConfig(format=SCHEMA)},
        {"items": CONVERSATION, "tools": ToolConfig(functions=(LOOK,), format=SCHEMA), "by_schema": True},
        {"items": CONVERSATION[:2], "instructions": "Be kind."},
        {"items": CONVERSATION, "partial": "Half an ans"},
        {"sampling": Sampling(temperature=0.5, top_p=0.9, parameters={"stop": ["x"]})},
    ],
)
def test_botocore_s_service_model_accepts_every_request(changes: dict[str, Any]) -> None:
    body = converse_body(backend(), replace(call(), **changes))
    assert problems_of(body) == ""
    roles = [each["role"] for each in body["messages"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)
    blocks = [block for each in (*body["messages"], {"content": body.get("system", [])}) for block in each["content"]]
    assert every(block["text"].strip() for block in blocks if "text" in block)
    has_tools = any({"toolUse", "toolResult"} & block.keys() for block in blocks)
    assert not has_tools or body["toolConfig"]["tools"]


def test_a_service_tier_is_named_as_bedrock_s_model_has_it() -> None:
    body = converse_body(replace(backend(), service_tier=ServiceTier.FLEX), call())
    assert (body["serviceTier"], problems_of(body)) == ({"type": "flex"}, "")


def test_the_conversation_keeps_its_order_and_its_parts() -> None:
    body = converse_body(backend(), replace(call(), items=CONVERSATION, instructions="Be kind."))
    assert [block["text"] for block in body["system"]] == ["Be kind.", "Be brief."]
    first, welcome, look, uses, last = body["messages"]
    assert (first["content"], welcome["content"]) == ([{"text": "."}], [{"text": "Welcome."}])
    assert look["content"] == [{"text": "Look."}]
    assert [use["toolUse"]["input"] for use in uses["content"]] == [{"n": 1}, {"arguments": "nonsense"}]
    assert [[*block] for block in last["content"]][:2] == [["toolResult"], ["toolResult"]]
    (image,) = [block["image"] for block in last["content"] if "image" in block]
    assert image == {"format": "png", "source": {"bytes": base64.b64encode(b"png").decode()}}


def test_an_image_of_another_type_has_no_form() -> None:
    image = ImageInput(url="data:image/tiff;base64,AAAA")
    with pytest.raises(ValueError, match="png, jpeg, gif or webp only"):
        converse_body(backend(), replace(call(), items=(message(Role.USER, "See", images=(image,)),)))
