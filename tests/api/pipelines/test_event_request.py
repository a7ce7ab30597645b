"""Are events read in each form of CloudEvents over HTTP, and are the greetings of their senders answered?

The messages of sdk_messages.json were written by the official Python SDK, cloudevents 2.2.0.
"""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.harness import Api
from tests.api.pipelines.events import EVENT, piped
from tests.fakes.backends import FakeBackend, says

MESSAGES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "sdk_messages.json").read_text(encoding="utf-8"))
TEXT = "My lamp is broken."


async def post(one: Api, body: str | bytes, **headers: str) -> httpx.Response:
    sent = {"authorization": "Bearer sender"} | {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await one.http.post("/v1/events/tickets", content=body, headers=sent)
    await one.orchestrations.ended()
    return answer


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message["name"])
async def test_a_message_of_the_official_sdk_becomes_a_turn(message: dict[str, Any]) -> None:
    model = FakeBackend(says("a lamp"))
    one = piped(model=model)
    answer = await post(one, message["body"], **message["headers"])
    (run,) = answer.json()["data"]
    if message["name"].startswith("text "):  # its data has no member `text`
        assert run["status"] == "dead"
    else:
        assert TEXT in model.calls[0].items[-1].text


async def test_both_forms_of_one_event_are_one_turn() -> None:
    model = FakeBackend(says("a lamp"))
    one = piped(model=model)
    forms = [each for each in MESSAGES if each["name"].startswith("json ")]
    answers = [(await post(one, each["body"], **each["headers"])).json()["data"][0] for each in forms]
    assert len(forms) == 2
    assert len({each["response_id"] for each in answers}) == len(model.calls) == 1


async def test_a_batch_has_one_answer_for_each_event() -> None:
    one = piped()
    structured = [json.loads(each["body"]) for each in MESSAGES if "structured" in each["name"]]
    answer = await post(one, json.dumps(structured), content_type="application/cloudevents-batch+json; charset=utf-8")
    assert [each["event_id"] for each in answer.json()["data"]] == ["7", "8", "9"]


async def test_a_wrong_event_of_a_batch_is_named_and_none_begins() -> None:
    one = piped()
    batch = json.dumps([EVENT, EVENT | {"id": ""}])
    answer = await post(one, batch, content_type="application/cloudevents-batch+json")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "[1].id")
    assert "pipeline_event" not in await one.stored()


@pytest.mark.parametrize("batch", ["{}", "[7]", json.dumps([EVENT] * 101)])
async def test_what_is_no_batch_is_refused(batch: str) -> None:
    answer = await post(piped(), batch, content_type="application/cloudevents-batch+json")
    assert answer.status_code == 400


async def test_a_binary_event_needs_text() -> None:
    headers = MESSAGES[3]["headers"]
    answer = await post(piped(), b"\xff\xfe", **headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "data")


@pytest.mark.parametrize("data", [rb'{"text": "\ud800"}', b'{"text": NaN}', b"[" * 100_000, b"9" * 5000])
async def test_binary_data_that_is_no_json_is_named(data: bytes) -> None:
    event = {name: value for name, value in EVENT.items() if name != "data"}
    event["data_base64"] = base64.b64encode(data).decode()
    answer = await post(piped(), json.dumps(event), content_type="application/cloudevents+json")
    assert (answer.status_code, answer.json()["error"].get("param")) == (400, "data_base64")


async def test_a_request_without_an_event_is_refused() -> None:
    answer = await post(piped(), "{}", content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "specversion")


async def test_the_handshake_of_web_hooks_is_answered_for_every_name_alike() -> None:
    one = piped()
    for name in ("tickets", "unknown"):
        headers = {"webhook-request-origin": "eventgrid.azure.net", "webhook-request-rate": "120", "authorization": ""}
        answer = await one.http.request("OPTIONS", f"/v1/events/{name}", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["webhook-allowed-origin"] == "eventgrid.azure.net"
        assert answer.headers["webhook-allowed-rate"] == "*"
    plain = await one.http.request("OPTIONS", "/v1/events/tickets", headers={"authorization": ""})
    assert plain.status_code == 400


async def test_the_validation_of_event_grids_own_schema_is_answered() -> None:
    one = piped()
    event = {
        "id": "1",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6"},
    }
    answer = await post(one, json.dumps([event]), aeg_event_type="SubscriptionValidation")
    assert (answer.status_code, answer.json()) == (200, {"validationResponse": "512d38b6"})
    for wrong in ("", "[]", "{}", json.dumps([{"data": {}}])):
        assert (await post(one, wrong, aeg_event_type="SubscriptionValidation")).status_code == 400
