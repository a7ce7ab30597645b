"""Do the openai SDK's own types accept each request?"""

from collections.abc import Mapping
from copy import replace
from typing import Any

import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import TypeAdapter

from clients.backends.responses.request import responses_body
from domain.content.items import ImageInput, Item, ItemKind, Role
from domain.content.tools import OutputFormat, OutputFormatKind, ToolChoice, ToolConfig
from domain.fleet.catalog import Adapter, Backend
from domain.fleet.request_forms import Probe, ProbeBody, ProbeMethod, ServiceTier
from domain.turns.response import Sampling
from tests.clients.backends.converse.conversations import CONVERSATION, LOOK, PIXEL
from tests.clients.backends.model_server import backend_at, call

SCHEMA = OutputFormat(kind=OutputFormatKind.JSON_SCHEMA, name="answer", schema={"type": "object"})


def backend(url: str = "http://127.0.0.1:1/v1") -> Backend:
    probe = Probe(method=ProbeMethod.POST, path="responses", body=ProbeBody.CHAT)
    return replace(backend_at(url), adapter=Adapter.RESPONSES, streams=True, probe=probe)


IMAGE = Item(id="i", kind=ItemKind.MESSAGE, role=Role.USER, text="See", images=(ImageInput(url=PIXEL),))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"items": CONVERSATION},
        {"items": CONVERSATION, "tools": ToolConfig(functions=(LOOK,), tool_choice=ToolChoice.REQUIRED)},
        {"items": CONVERSATION, "tools": ToolConfig(format=SCHEMA)},
        {"items": CONVERSATION, "tools": ToolConfig(functions=(LOOK,), format=SCHEMA), "by_schema": True},
        {"items": (IMAGE,), "instructions": None},
        {"sampling": Sampling(temperature=0.5, top_p=0.9, parameters={"reasoning_effort": "low", "verbosity": "low"})},
    ],
)
def test_the_sdk_s_types_accept_every_request(changes: dict[str, Any]) -> None:
    body = responses_body(backend(), replace(call(), **changes))
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsStreaming)
    validated: Mapping[str, Any] = adapter.validate_python(body, strict=True)
    assert validated.keys() == body.keys()
    assert body["store"] is False


@pytest.mark.parametrize("tier", [ServiceTier.FLEX, ServiceTier.PRIORITY])
def test_a_service_tier_is_named_as_the_sdk_s_types_have_it(tier: ServiceTier) -> None:
    body = responses_body(replace(backend(), service_tier=tier), call())
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsStreaming)
    assert adapter.validate_python(body, strict=True)["service_tier"] == tier


def test_the_parameters_of_a_model_are_where_the_api_has_them() -> None:
    sampling = Sampling(temperature=0.5, parameters={"reasoning_effort": "low", "verbosity": "high"})
    body = responses_body(backend(), replace(call(), sampling=sampling, tools=ToolConfig(format=SCHEMA)))
    assert (body["temperature"], body["reasoning"], body["text"]["verbosity"]) == (0.5, {"effort": "low"}, "high")
    assert body["text"]["format"] == {"type": "json_schema", "name": "answer", "schema": {"type": "object"}}
