"""Does each caller see its own usage, and with the role that of its tenant?"""

import csv
import io
import json
from collections.abc import Mapping
from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from api.endpoints.usage import csv_answer, usage_object
from api.rendering.focus import estimate_tag
from domain.money.usage import COUNTS, ESTIMATED, UsageRow
from tests.api.endpoints.reports.test_fleet import GPU, PRICE
from tests.api.harness import CALLERS, OPERATOR, STRANGER, Api, api
from tests.fakes.backends import FakeBackend, rejects, says
from tests.fakes.worlds import OWNER, backend

DAY_S = 86_400


async def create_turn(one: Api, caller: str = "mine", **body: Any) -> str:
    """Create a turn and wait for its end; each has 7 input tokens, 2 output tokens and costs 0.000011 dollars."""
    request = {"input": "hi", "model": "model", **body}
    answer = await one.create(request, authorization=f"Bearer {caller}")
    await one.orchestrations.ended()
    return answer.json()["id"]


async def usage(one: Api, caller: str = "mine", **query: str) -> Mapping[str, Any]:
    answer = await one.http.get("/v1/usage", params=query, headers={"authorization": f"Bearer {caller}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def answering(*answers: int) -> FakeBackend:
    return FakeBackend(*(says("one two") for _ in range(sum(answers) or 1)))


async def test_a_day_counts_its_attempts_tokens_and_cost() -> None:
    one = api(answering(2))
    await create_turn(one)
    await create_turn(one)
    body = await usage(one)
    (day,) = body["data"]
    assert day == {
        "id": "2027-01-15",
        "object": "usage",
        "day": "2027-01-15",
        "attempts": 2,
        "input_tokens": 14,
        "cached_tokens": 0,
        "output_tokens": 4,
        "backends_usd": "0.000022000",
        "store_usd": "0.000000000",
        "functions_usd": "0.000000000",
        "cost_usd": "0.000022000",
        "provisional_usd": "0.000000000",
        "estimated_usd": "0.000000000",
    }


async def test_what_a_gpu_session_may_still_change_is_provisional_until_it_ends() -> None:
    one = api(FakeBackend(), deployed={"gpu": GPU})
    state = one.world.app.state
    assert await state.gpu_sessions.warm_up(GPU, OPERATOR, "resp_a", cold_s=10, worst_s=40)
    for by in ("day", "conversation"):
        (open_one,) = (await usage(one, "operator", group_by=by))["data"]
        assert open_one["provisional_usd"] == open_one["cost_usd"] > "0.000000000"
    one.world.clock.advance(10 + PRICE.idle_s)
    for found in await state.gpu_session_billing.finished_sessions():
        await state.gpu_session_billing.close(found)
    for found in await state.gpu_session_billing.unposted_sessions():
        await state.gpu_session_billing.post(found)
    (final,) = (await usage(one, "operator"))["data"]
    assert (final["provisional_usd"], final["cost_usd"] > "0.000000000") == ("0.000000000", True)


async def test_what_an_inferred_session_costs_is_an_estimate_in_every_format() -> None:
    one = api(FakeBackend(), deployed={"gpu": replace(GPU, max_instances=3)})
    state = one.world.app.state
    assert await state.gpu_sessions.warm_up(replace(GPU, max_instances=3), OPERATOR, "resp_a", cold_s=10, worst_s=40)
    one.world.clock.advance(10 + PRICE.idle_s)
    for found in await state.gpu_session_billing.finished_sessions():
        await state.gpu_session_billing.close(found)
    for found in await state.gpu_session_billing.unposted_sessions():
        await state.gpu_session_billing.post(found)
    for by in ("day", "conversation", "backend"):
        (final,) = (await usage(one, "operator", group_by=by))["data"]
        assert final["estimated_usd"] == final["backends_usd"] > "0.000000000"
    texts = {form: await exported(one, form) for form in ("csv", "focus")}
    assert next(csv.DictReader(io.StringIO(texts["csv"])))["estimated_usd"] == final["backends_usd"]
    (charge,) = csv.DictReader(io.StringIO(texts["focus"]))
    assert json.loads(charge["Tags"])["row_estimated_usd"] == charge["BilledCost"] == final["backends_usd"]


async def exported(one: Api, form: str) -> str:
    answer = await one.http.get("/v1/usage", params={"format": form}, headers={"authorization": "Bearer operator"})
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_callers_see_their_own_usage_and_with_the_role_that_of_their_tenant() -> None:
    one = api(answering(3))
    await create_turn(one)
    await create_turn(one, "strange")
    await create_turn(one, "strange")
    seen = {
        caller: [(each["owner"], each["attempts"]) for each in (await usage(one, caller, group_by="owner"))["data"]]
        for caller in CALLERS
        if caller != "sender"
    }
    scopes = {caller: (await usage(one, caller))["scope"] for caller in ("mine", "reader", "operator")}
    assert scopes == {"mine": "owner", "reader": "tenant", "operator": "tenant"}
    mine, strange = (OWNER.subject, 1), (STRANGER.subject, 2)
    assert seen == {
        "mine": [mine],
        "strange": [strange],
        "curious": [mine, strange],
        "reader": [mine, strange],
        "operator": [mine, strange],
        "foreign": [],
        "accepter": [],
    }


async def test_usage_is_grouped_by_conversation_model_backend_and_day() -> None:
    one = api(FakeBackend(rejects(500), says("one two")), answering(2))
    await create_turn(one)
    one.world.clock.advance(DAY_S)
    await create_turn(one)
    by = await usage(one, group_by="day,backend,model")
    assert [(each["day"], each["backend"], each["model"], each["attempts"]) for each in by["data"]] == [
        ("2027-01-15", "main", "model", 1),
        ("2027-01-15", "spare", "model", 1),
        ("2027-01-16", "main", "model", 1),
    ]
    assert [each["conversation"] for each in (await usage(one, group_by="conversation"))["data"]] == [""]


async def test_days_outside_the_query_are_left_out_and_pages_follow_each_other() -> None:
    one = api(answering(4))
    for _ in range(4):
        await create_turn(one)
        one.world.clock.advance(DAY_S)
    for caller in ("mine", "reader"):
        body = await usage(one, caller, **{"from": "2027-01-16", "to": "2027-01-17"})
        assert [each["day"] for each in body["data"]] == ["2027-01-16", "2027-01-17"]
    first = await usage(one, limit="3")
    second = await usage(one, limit="3", after=first["last_id"])
    assert [each["day"][-2:] for page in (first, second) for each in page["data"]] == ["15", "16", "17", "18"]
    assert (first["has_more"], second["has_more"]) == (True, False)


async def test_usage_is_the_sum_of_the_turns_reports() -> None:
    one = api(FakeBackend(rejects(500), says("one two")), answering(1))
    names = [await create_turn(one), await create_turn(one)]
    reports = [(await one.http.get(f"/v1/responses/{name}/route")).json()["cost_usd"] for name in names]
    (day,) = (await usage(one))["data"]
    assert Decimal(day["cost_usd"]) == sum(map(Decimal, reports), Decimal(0)) > 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2027-13-01"}, "to"),
        ({"from": "2027-01-16", "to": "2027-01-15"}, "from"),
        ({"from": "2020-01-01"}, "from"),
        ({"group_by": "day,price"}, "group_by"),
        ({"group_by": "day,day"}, "group_by"),
        ({"group_by": ""}, "group_by"),
        ({"after": "2020-01-01"}, "after"),
        ({"limit": "-1"}, "limit"),
    ],
)
async def test_an_invalid_query_parameter_is_named(query: Mapping[str, str], field: str) -> None:
    answer = await api().http.get("/v1/usage", params=dict(query))
    assert (answer.status_code, answer.json()["error"]["param"]) == (404 if field == "after" else 400, field)


async def test_usage_by_cause_adds_up_to_the_cost() -> None:
    one = api(answering(2))
    await create_turn(one)
    await create_turn(one)
    causes = (await usage(one, group_by="day,cause"))["data"]
    assert causes == [
        {
            "id": "2027-01-15/tokens",
            "object": "usage",
            "day": "2027-01-15",
            "cause": "tokens",
            "cost_usd": "0.000022000",
        }
    ]


async def test_usage_by_hour_counts_an_attempt_where_it_began() -> None:
    one = api(answering(2))
    await create_turn(one)
    one.world.clock.advance(3600)
    await create_turn(one)
    hours = (await usage(one, group_by="hour"))["data"]
    first, second = [each["hour"] for each in hours]
    assert first < second
    assert [each["attempts"] for each in hours] == [1, 1]
    assert len(first) == len("2027-01-15T08")


async def test_usage_as_csv_has_a_line_for_each_group() -> None:
    one = api(answering(1))
    await create_turn(one)
    answer = await one.http.get("/v1/usage", params={"group_by": "day,cause", "format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text == "day,cause,cost_usd\r\n2027-01-15,tokens,0.000011000\r\n"


@pytest.mark.parametrize("name", ["=1+1", "@SUM(A1)", "-2", "+1"])
def test_a_spreadsheet_takes_no_name_for_a_formula(name: str) -> None:
    assert csv_answer([{"backend": name}]).body == f"backend\r\n'{name}\r\n".encode()


async def test_an_unknown_format_is_refused() -> None:
    answer = await api().http.get("/v1/usage", params={"format": "xml"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "format")


async def test_a_backend_that_was_removed_keeps_its_history_and_is_marked() -> None:
    before = api(answering(1))
    await create_turn(before)
    after = api(FakeBackend(), deployed={"spare": backend("spare")}, store=before.world.store, clock=before.world.clock)
    for one, removed in ((before, False), (after, True)):
        (group,) = (await usage(one, group_by="backend"))["data"]
        assert (group["backend"], group["attempts"], group["removed"]) == ("main", 1, removed)


def test_an_estimate_that_an_earlier_release_has_not_counted_is_never_taken_off() -> None:
    row = UsageRow(dimensions={"day": "2027-01-01"}, counts={**dict.fromkeys(COUNTS, 0), ESTIMATED: -5})
    assert usage_object(row)["estimated_usd"] == "0.000000000"
    assert estimate_tag(row, "idle") == {}
