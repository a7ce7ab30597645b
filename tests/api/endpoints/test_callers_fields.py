"""Does a caller get back what it sent, and a clear rejection of what no turn can use?"""

import asyncio
from typing import Any

import pytest

from tests.api.harness import ANSWER, Api, api, events_of
from tests.fakes.backends import FakeBackend, says
from tests.fakes.worlds import OWNER

ECHOED = {"prompt_cache_key": "k", "safety_identifier": "who", "max_tool_calls": 3, "service_tier": "flex"}
DEFAULTS = {"prompt_cache_key": None, "safety_identifier": None, "max_tool_calls": None, "service_tier": "default"}
LISTS = ("responses/{}/input_items", "conversations/{}/items", "chat/completions", "usage")


@pytest.mark.parametrize("sent", [ECHOED, {"prompt_cache_key": ""}, {"max_tool_calls": 1, "service_tier": None}])
async def test_fields_without_effect_come_back(sent: dict[str, Any]) -> None:
    one = api()
    answer = await one.create({"input": "hi", "model": "auto", **sent})
    kept = {name: value for name, value in sent.items() if value is not None}
    later = (await one.http.get(f"/v1/responses/{answer.json()['id']}")).json()
    for body in (answer.json(), later):
        assert {name: body[name] for name in DEFAULTS} == DEFAULTS | kept


async def test_fields_without_effect_come_back_in_a_stream() -> None:
    answer = await api().create({"input": "hi", "model": "auto", "stream": True, **ECHOED})
    first = events_of(answer.text)[0]["response"]
    assert {name: first[name] for name in ECHOED} == ECHOED
    assert answer.headers["x-ganglion-ignored"].split(", ") == sorted(ECHOED.keys() - {"max_tool_calls"})


@pytest.mark.parametrize("body", [{}, {"model": "auto"}, {"instructions": "be brief"}, {"input": None, "stream": True}])
async def test_a_request_without_anything_to_read_is_rejected(body: dict[str, Any]) -> None:
    answer = await api().create(body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "input", "missing_required_parameter")


@pytest.mark.parametrize("limit", ["0", "00", "101", "-1", "ten"])
@pytest.mark.parametrize("path", LISTS)
async def test_a_list_has_1_to_100_entries(path: str, limit: str) -> None:
    answer = await api().http.get(f"/v1/{path.format('x')}", params={"limit": limit})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "limit")


async def test_a_count_of_tokens_says_how_they_were_counted() -> None:
    answer = await api().http.post("/v1/responses/input_tokens", json={"model": "auto", "input": "hi"})
    assert (answer.status_code, answer.headers["x-ganglion-counted-by"]) == (200, "estimate")


async def unstored(one: Api, **fields: Any) -> str:
    answer = await one.create({"input": "hi", "model": "auto", "store": False, **fields})
    return str(events_of(answer.text)[0]["response"]["id"] if fields.get("stream") else answer.json()["id"])


async def test_an_unstored_response_that_has_ended_is_not_found_except_for_its_stream() -> None:
    one = api()
    identifier = await unstored(one)
    for path in ("", "/input_items"):
        answer = await one.http.get(f"/v1/responses/{identifier}{path}")
        assert answer.status_code == 404
        assert identifier in answer.json()["error"]["message"]
    resumed = await one.http.get(f"/v1/responses/{identifier}", params={"stream": "true", "starting_after": 3})
    assert events_of(resumed.text)[-1]["response"]["output"][0]["content"][0]["text"] == ANSWER


async def test_an_unstored_response_cannot_be_continued() -> None:
    one = api()
    identifier = await unstored(one)
    answer = await one.create({"input": "and?", "model": "auto", "previous_response_id": identifier})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "previous_response_not_found")


async def test_an_unstored_response_can_be_read_while_it_runs() -> None:
    wait = asyncio.Event()
    one = api(FakeBackend([wait, *says("late")]))
    identifier = await unstored(one, background=True)
    assert (await one.http.get(f"/v1/responses/{identifier}")).json()["status"] in ("queued", "in_progress")
    wait.set()
    await one.orchestrations.ended()
    assert (await one.http.get(f"/v1/responses/{identifier}")).status_code == 404
    assert await one.world.turns.read(OWNER, identifier)
