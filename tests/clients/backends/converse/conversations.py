"""A backend of Bedrock's Converse, and a conversation with every kind of item."""

import base64
from copy import replace
from typing import Any

from domain.content.items import ImageInput, Item, ItemKind, Role
from domain.content.tools import FunctionTool
from domain.fleet.catalog import Adapter, Backend
from domain.fleet.request_forms import Probe, ProbeBody, ProbeMethod
from tests.clients.backends.model_server import backend_at

MODEL = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-x-v1:0"
LOOK = FunctionTool(name="look", description="Looks.", parameters={"type": "object", "properties": {}}, strict=None)
PIXEL = "data:image/png;base64," + base64.b64encode(b"png").decode()
PROBE = Probe(method=ProbeMethod.POST, path="converse", body=ProbeBody.CHAT)


def backend(url: str = "http://127.0.0.1:1/v1") -> Backend:
    return replace(
        backend_at(url.removesuffix("/v1")), adapter=Adapter.CONVERSE, served_model=MODEL, streams=True, probe=PROBE
    )


def message(role: Role, text: str, **changes: Any) -> Item:
    return Item(id="i", kind=ItemKind.MESSAGE, role=role, text=text, **changes)


CONVERSATION = (
    message(Role.DEVELOPER, "Be brief."),
    message(Role.ASSISTANT, "Welcome."),
    message(Role.USER, "Look."),
    Item(id="i", kind=ItemKind.FUNCTION_CALL, name="look", call_id="c1", text='{"n": 1}'),
    Item(id="i", kind=ItemKind.FUNCTION_CALL, name="look", call_id="c2", text="nonsense"),
    Item(id="i", kind=ItemKind.FUNCTION_OUTPUT, call_id="c1", text="1"),
    Item(id="i", kind=ItemKind.FUNCTION_OUTPUT, call_id="c2", text=""),
    message(Role.USER, ""),
    message(Role.USER, "And this?", images=(ImageInput(url=PIXEL),)),
)
