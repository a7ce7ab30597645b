"""Which turns does each caller list, in which order, and with which figures?"""

from collections.abc import Mapping
from copy import replace
from typing import Any

import pytest

from domain.fleet.catalog import ColdStart
from tests.api.harness import OPERATOR, STRANGER, Api, api
from tests.fakes.backends import FakeBackend, rejects, says
from tests.fakes.worlds import OWNER, backend

DAY_S = 86_400


def answering(number: int) -> FakeBackend:
    return FakeBackend(*(says("one two") for _ in range(number)))


async def create_turn(one: Api, caller: str = "mine", **body: Any) -> str:
    answer = await one.create({"input": "hi", "model": "model", **body}, authorization=f"Bearer {caller}")
    await one.orchestrations.ended()
    one.world.clock.advance(1)
    return answer.json()["id"]


async def listed(one: Api, caller: str = "mine", **query: Any) -> Mapping[str, Any]:
    answer = await one.http.get("/v1/turns", params=query, headers={"authorization": f"Bearer {caller}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def error(one: Api, caller: str = "mine", **query: Any) -> tuple[int, str, str]:
    answer = await one.http.get("/v1/turns", params=query, headers={"authorization": f"Bearer {caller}"})
    found = answer.json()["error"]
    return answer.status_code, found["code"], found["message"]


def ids(page: Mapping[str, Any]) -> list[str]:
    return [each["id"] for each in page["data"]]


async def test_a_turn_is_listed_with_its_status_times_backend_and_cost() -> None:
    one = api(answering(1))
    turn = await create_turn(one)
    (found,) = (await listed(one))["data"]
    assert found == {
        "id": turn,
        "object": "turn",
        "owner": OWNER.subject,
        "conversation": None,
        "status": "completed",
        "created_at": found["created_at"],
        "begun_at": found["created_at"],
        "ended_at": found["ended_at"],
        "model": "model",
        "backend": "main",
        "attempts": 1,
        "cold": False,
        "cost_usd": "0.000011000",
        "cost_status": "final",
    }
    assert found["created_at"] <= found["ended_at"]


async def test_a_turn_that_waited_for_a_start_is_cold_although_its_backend_is_paid_by_tokens() -> None:
    sleeping = replace(backend("main"), cold_start=ColdStart(scales_to_zero=True, p50_s=1, p99_s=5, idle_s=600))
    one = api(answering(2), deployed={"main": sleeping})
    await create_turn(one)
    await create_turn(one)
    assert [each["cold"] for each in (await listed(one))["data"]] == [False, True]


async def test_turns_are_listed_newest_first_in_pages() -> None:
    one = api(answering(5))
    turns = [await create_turn(one) for _ in range(5)]
    first = await listed(one, limit=2)
    second = await listed(one, limit=2, after=first["last_id"])
    third = await listed(one, limit=2, after=second["last_id"])
    assert [ids(page) for page in (first, second, third)] == [turns[:2:-1], turns[2:0:-1], turns[:1]]
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]


async def test_a_caller_lists_its_own_turns_and_an_operator_those_of_the_tenant() -> None:
    one = api(answering(3))
    mine, strange, own = [await create_turn(one, caller) for caller in ("mine", "strange", "operator")]
    assert ids(await listed(one)) == [mine]
    assert ids(await listed(one, "operator")) == [own]
    everything = await listed(one, "operator", scope="tenant")
    assert ids(everything) == [own, strange, mine]
    assert [each["owner"] for each in everything["data"]] == [OPERATOR.subject, STRANGER.subject, OWNER.subject]
    assert ids(await listed(one, "double")) == []


async def test_listing_the_tenant_needs_the_role() -> None:
    status, code, message = await error(api(answering(1)), "reader", scope="tenant")
    assert (status, code) == (403, "insufficient_permissions")
    assert "Operations.Read" in message


async def test_filters_and_days_select_turns() -> None:
    one = api(FakeBackend(rejects(400), says("one two"), says("one two")))
    failed = await create_turn(one)
    one.world.clock.advance(DAY_S)
    done = [await create_turn(one) for _ in range(2)]
    assert ids(await listed(one, status="failed")) == [failed]
    assert ids(await listed(one, status="completed", backend="main", model="model")) == done[::-1]
    assert ids(await listed(one, model="other")) == []
    assert ids(await listed(one, to="2027-01-15")) == [failed]
    assert ids(await listed(one, **{"from": "2027-01-16"})) == done[::-1]


async def test_a_page_that_a_filter_left_empty_continues_where_the_list_ends() -> None:
    one = api(answering(3))
    turns = [await create_turn(one) for _ in range(3)]
    page = await listed(one, limit=1, after=turns[2], status="failed")
    assert (ids(page), page["has_more"]) == ([], False)


async def test_a_deleted_turn_is_not_listed() -> None:
    one = api(answering(2))
    gone, kept = [await create_turn(one) for _ in range(2)]
    await one.http.delete(f"/v1/responses/{gone}")
    assert ids(await listed(one)) == [kept]


async def test_a_repeated_request_is_listed_once() -> None:
    one = api(answering(1))
    request = {"input": "hi", "model": "model"}
    answers = [await one.create(request, idempotency_key="one") for _ in range(2)]
    await one.orchestrations.ended()
    assert ids(await listed(one)) == [answers[0].json()["id"]]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"order": "asc"}, "order"),
        ({"status": "done"}, "status"),
        ({"scope": "all"}, "scope"),
        ({"from": "yesterday"}, "from"),
        ({"to": "9999-12-31"}, "to"),
    ],
)
async def test_a_wrong_parameter_is_named(query: Mapping[str, str], names: str) -> None:
    status, _, message = await error(api(answering(1)), **query)
    assert status == 400
    assert f"Invalid '{names}'" in message


async def test_another_owners_turn_is_no_cursor() -> None:
    one = api(answering(1))
    turn = await create_turn(one)
    assert await error(one, "strange", after=turn) == (
        404,
        "item_not_found",
        f"Invalid 'after': the list has no entry with id '{turn}'.",
    )


@pytest.mark.parametrize("name", ["status", "scope"])
async def test_an_empty_choice_is_refused(name: str) -> None:
    status, code, message = await error(api(answering(0)), **{name: ""})
    assert (status, code) == (400, "invalid_value")
    assert name in message
