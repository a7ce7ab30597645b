"""Does a whole product run tools for its model, over real HTTP and a real durable host?"""

import json
from typing import Any

import httpx
import pytest
from openai.types.responses.response_output_item import McpCall

from standins.cluster.local_cluster import LocalCluster
from tests.end_to_end.callers import PINNED, Json, asking
from tests.end_to_end.conftest import Scene
from tests.end_to_end.waiting import eventually

CLOSED_S = 20.0
"""A cancel promises 1 s; the rest is for a busy machine."""

SHOP: Any = {"type": "mcp", "server_label": "shop", "require_approval": "never"}


def plan(*rounds: list[tuple[str, Json]], then: str = "done") -> str:
    """Return a prompt that makes the scripted model call the shop's tools in these rounds."""
    named = [[[f"shop__{name}", arguments] for name, arguments in calls] for calls in rounds]
    return f"PLAN {json.dumps(named)} THEN {then}"


async def shop_of(cluster: LocalCluster) -> Json:
    """Return the effects and the requests that the shop has counted."""
    async with httpx.AsyncClient() as http:
        return (await http.get(f"{cluster.model_url('shop')}/__effects")).json()


async def test_the_sdk_sees_a_turn_that_looks_something_up_and_answers_from_it(scene: Scene) -> None:
    async with scene.caller.sdk() as client:
        prompt = 'CALL shop__find_order {"number": "A-1001"}'
        stream = await client.responses.create(model=PINNED, input=prompt, tools=[SHOP], stream=True)
        events = [event async for event in stream]
        last = events[-1]
        assert last.type == "response.completed"
        assert await client.responses.retrieve(last.response.id) == last.response
    listed, call, message = last.response.output
    assert isinstance(call, McpCall)
    assert (listed.type, call.status, message.type) == ("mcp_list_tools", "completed", "message")
    assert "a telescope with a brass tube" in last.response.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_calls_of_several_rounds_have_their_effects_once(scene: Scene) -> None:
    before = len((await shop_of(scene.cluster))["effects"])
    first = [("find_order", {"number": "A-1001"}), ("refund_order", {"number": "A-1001", "amount": 5})]
    body = asking(plan(first, [("send_note", {"number": "A-1001", "text": "refunded"})]), tools=[SHOP])
    answer = (await scene.caller.create(body)).json()
    assert [item["type"] for item in answer["output"]] == ["mcp_list_tools", *["mcp_call"] * 3, "message"]
    assert [item["status"] for item in answer["output"][1:4]] == ["completed"] * 3
    effects = (await shop_of(scene.cluster))["effects"][before:]
    assert [effect["kind"] for effect in effects] == ["refund", "note"]
    assert effects[0]["key"] == answer["output"][2]["id"]
    assert len(await scene.caller.model_calls(body)) == 3
    await scene.books.settled(scene.caller, answer["id"])


async def test_no_argument_and_no_result_is_in_the_histories(scene: Scene) -> None:
    first = [("find_order", {"number": "A-1001"}), ("find_order", {"number": "Z-heron-7319"})]
    body = asking(plan(first, [("send_note", {"number": "A-1002", "text": "heron-7320"})]), tools=[SHOP])
    answer = (await scene.caller.create(body)).json()
    await scene.caller.orchestration_ended(answer["id"])
    assert "telescope" in json.dumps(answer["output"])
    hub = b"".join(file.read_bytes() for file in sorted(scene.cluster.data.glob("hub.db*")))
    assert answer["output"][1]["id"].encode()[-24:] in hub
    assert [word for word in (b"heron", b"telescope", b"A-1002", b"order not found") if word in hub] == []


async def test_a_model_that_calls_for_ever_is_held_to_an_answer(scene: Scene) -> None:
    answer = (await scene.caller.create(asking("PLAN FOREVER", tools=[SHOP]))).json()
    assert (answer["status"], answer["metadata"]["ganglion_ending"]) == ("completed", "max_rounds")
    types = [item["type"] for item in answer["output"]]
    assert types == ["mcp_list_tools", *["mcp_call"] * 10, "message"]
    assert answer["output"][-1]["content"][0]["text"] == "enough"
    await scene.books.settled(scene.caller, answer["id"])


async def open_request(scene: Scene, path: str) -> Json:
    """Wait until the shop has an open request of a path, and return it."""

    async def look() -> Json | None:
        requests = (await shop_of(scene.cluster))["requests"]
        return next((each for each in requests if each["open"] and each["path"].startswith(path)), None)

    return await eventually(look, what=f"a request of {path}")


async def nothing_open(scene: Scene) -> None:
    async def look() -> bool | None:
        return None if any(each["open"] for each in (await shop_of(scene.cluster))["requests"]) else True

    await eventually(look, within_s=CLOSED_S, what="that the connection is closed")


@pytest.mark.parametrize("how", ["cancel", "delete"])
async def test_the_connection_of_a_read_is_closed_when_its_turn_is(scene: Scene, how: str) -> None:
    async with httpx.AsyncClient() as shop:
        fault = {"path": "/v1/orders/SLOW", "fault": {"delay_s": 600}}
        await shop.put(f"{scene.cluster.model_url('shop')}/__faults", json=fault)
    body = asking(plan([("find_order", {"number": f"SLOW-{how}"})]), tools=[SHOP], background=True)
    made = (await scene.caller.create(body)).json()
    await open_request(scene, f"/v1/orders/SLOW-{how}")
    path = f"/v1/responses/{made['id']}"
    ended = await (scene.caller.http.delete(path) if how == "delete" else scene.caller.cancel(made["id"]))
    assert ended.status_code == 200
    await nothing_open(scene)
    await scene.caller.orchestration_ended(made["id"])


async def test_a_turn_of_forty_calls_fits_into_one_history(scene: Scene) -> None:
    before = len((await shop_of(scene.cluster))["effects"])
    rounds = [[("refund_order", {"number": f"B-{one}", "amount": each}) for each in range(4)] for one in range(10)]
    answer = (await scene.caller.create(asking(plan(*rounds), tools=[SHOP]))).json()
    calls = [item for item in answer["output"] if item["type"] == "mcp_call"]
    assert (answer["status"], len(calls)) == ("completed", 40)
    effects = (await shop_of(scene.cluster))["effects"][before:]
    assert sorted(effect["key"] for effect in effects) == sorted(call["id"] for call in calls)
    orchestration = await scene.caller.orchestration_ended(answer["id"])
    assert "continued" not in str(orchestration["input"])
    await scene.books.settled(scene.caller, answer["id"])


async def test_a_turn_waits_in_place_and_goes_on_with_the_decision(scene: Scene) -> None:
    before = len((await shop_of(scene.cluster))["effects"])
    prompt = plan([("refund_order", {"number": "C-1", "amount": 3})])
    tools = [{**SHOP, "require_approval": "always"}]
    body = asking(prompt, tools=tools, background=True, metadata={"approval_wait_s": "864000"})
    made = (await scene.caller.create(body)).json()

    async def look() -> str | None:
        listed = (await scene.caller.http.get("/v1/approvals")).json()["data"]
        return next((each["id"] for each in listed if each["response_id"] == made["id"]), None)

    request = await eventually(look, what="an open request")
    assert (await shop_of(scene.cluster))["effects"][before:] == []
    answer = {"approval_request_id": request, "approve": True}
    decided = await scene.caller.http.post(f"/v1/responses/{made['id']}/approvals", json=answer)
    assert decided.status_code == 200
    await scene.caller.orchestration_ended(made["id"])
    last = (await scene.caller.http.get(f"/v1/responses/{made['id']}")).json()
    types = [item["type"] for item in last["output"]]
    expected = ["mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "mcp_call", "message"]
    assert (last["status"], types) == ("completed", expected)
    assert decided.json() == last["output"][2]
    (effect,) = (await shop_of(scene.cluster))["effects"][before:]
    assert effect["key"] == request
    await scene.books.settled(scene.caller, made["id"])
