"""Does the OpenAPI document describe every route and nothing else?"""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from api.openapi_operations import OPERATIONS
from api.parsing.chat_request import CHAT_FIELDS
from api.parsing.field_rules import RESPONSE_FIELDS, FieldRule, FieldTreatment
from api.routes import CATCH_ALL, routes
from tests.api.harness import api

CONTENT = {"type": "string", "format": "binary"}


async def document() -> dict[str, Any]:
    answer = await api().http.get("/openapi.json", headers={"authorization": ""})
    assert answer.status_code == 200
    return answer.json()


def is_of_the_api(template: str) -> bool:
    return not template.endswith(CATCH_ALL) and not template.startswith("console")


async def test_every_route_is_described_and_no_other() -> None:
    served = {route.name: route for route in routes(api().world.app.http) if is_of_the_api(route.template)}
    paths = (await document())["paths"]
    named = {operation["operationId"] for path in paths.values() for operation in path.values()}
    assert {name.removesuffix("_get") for name in named} >= {
        route.name for route in served.values() if len(route.methods) == 1
    }
    assert set(paths) == {f"/{route.template}" for route in served.values()}
    assert set(OPERATIONS) == set(served)


def has_body(answer: Any) -> bool:
    return "content" in answer


async def test_only_the_greeting_of_a_sender_has_no_body() -> None:
    paths = (await document())["paths"]
    answers = [
        (operation["operationId"], status)
        for path in paths.values()
        for operation in path.values()
        for status, answer in operation["responses"].items()
        if not has_body(answer)
    ]
    assert answers == [("http_events_greet", "200")]


async def test_usage_can_be_a_table() -> None:
    usage = (await document())["paths"]["/v1/usage"]["get"]
    assert set(usage["responses"]["200"]["content"]) == {"application/json", "text/csv"}


async def test_every_reference_is_defined_and_every_path_parameter_is_described() -> None:
    described = await document()
    for path, operations in described["paths"].items():
        for operation in operations.values():
            for answer in filter(has_body, operation["responses"].values()):
                schema = next(iter(answer["content"].values()))["schema"]
                assert schema == CONTENT or schema["$ref"].rpartition("/")[2] in described["components"]["schemas"]
            names = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert all(f"{{{name}}}" in path for name in names)  # may be empty: most paths have no parameter


@pytest.mark.parametrize(("name", "rules"), [("CreateResponse", RESPONSE_FIELDS), ("CreateChat", CHAT_FIELDS)])
async def test_every_honoured_field_is_described(name: str, rules: Mapping[str, FieldRule]) -> None:
    properties = (await document())["components"]["schemas"][name]["properties"]
    honoured = {field.partition(".")[0] for field, rule in rules.items() if rule.treatment is FieldTreatment.HONOURED}
    assert honoured
    assert honoured <= set(properties)


async def test_every_schema_that_a_schema_refers_to_is_defined() -> None:
    schemas = (await document())["components"]["schemas"]
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(schemas)))
    assert named
    assert named <= set(schemas)


async def test_a_field_with_a_short_form_is_described_with_both() -> None:
    schemas = (await document())["components"]["schemas"]
    kinds = {kind.get("type") for kind in schemas["CreateResponse"]["properties"]["input"]["anyOf"]}
    assert "string" in kinds
    for name in ("ConversationReference", "Stops", "ChatContent"):
        assert len(schemas[name]["anyOf"]) == 2


async def test_a_compaction_requires_a_model_and_describes_no_unused_field() -> None:
    schema = (await document())["components"]["schemas"]["CreateCompaction"]
    assert schema["required"] == ["model"]
    assert {"input", "reasoning"} <= set(schema["properties"])
    assert not {"tools", "stream"} & set(schema["properties"])


async def test_each_list_takes_pages_up_to_its_documented_size_and_no_larger() -> None:
    caller = api()
    token = {"authorization": "Bearer operator"}
    found: dict[str, int] = {}
    for path, methods in (await document())["paths"].items():
        for parameter in methods.get("get", {}).get("parameters", ()):
            if parameter["name"] == "limit":
                found[path] = parameter["schema"]["maximum"]
    for path, maximum in found.items():
        url = re.sub(r"\{\w+\}", "unknown", path)
        largest = await caller.http.get(url, params={"limit": maximum}, headers=token)
        larger = await caller.http.get(url, params={"limit": maximum + 1}, headers=token)
        assert largest.status_code in (200, 404), (path, largest.text)
        if largest.status_code == 200:
            assert (larger.status_code, larger.json()["error"]["param"]) == (400, "limit"), path
    assert found["/v1/files"] == 10_000
    assert len(found) >= 10
