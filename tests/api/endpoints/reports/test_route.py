"""Does the report of a turn have its routes, attempts, times and costs?"""

from decimal import Decimal

from tests.api.harness import api
from tests.fakes.backends import FakeBackend, rejects, says

BODY = {"input": "hi", "model": "model", "background": True}


async def test_a_finished_turn_has_a_complete_report() -> None:
    one = api(FakeBackend(says("one two")))
    name = (await one.create(BODY)).json()["id"]
    await one.orchestrations.ended()
    body = (await one.http.get(f"/v1/responses/{name}/route")).json()
    assert body["response_id"] == name
    assert body["route"] == body["routes"][-1]
    assert body["route"]["backend"] == "main"
    assert body["route"]["reason"]
    (attempt,) = body["attempts"]
    assert (attempt["backend"], attempt["status"], attempt["result"]) == ("main", "closed", "done")
    assert (attempt["input_tokens"], attempt["output_tokens"]) == (7, 2)
    assert body["cost_usd"] == attempt["cost_usd"]
    assert Decimal(body["cost_usd"]) == Decimal("0.000011")
    assert body["bill"] == {
        "status": "final",
        **dict.fromkeys(
            ("gpu_usd", "cold_usd", "tail_usd", "tools_usd", "held_usd", "store_usd", "functions_usd"), "0"
        ),
        "tokens_usd": body["cost_usd"],
        "total_usd": body["cost_usd"],
        "sessions": [],
        "settled_sessions": [],
    }
    assert body["budgets"] == []
    steps = [moment["step"] for moment in body["timeline"]]
    assert steps == [
        "admitted",
        "begun",
        "routed",
        "attempt 1 started",
        "attempt 1 first token",
        "attempt 1 ended",
        "finished",
    ]


async def test_a_turn_with_a_failover_reports_both_routes_and_both_attempts() -> None:
    one = api(FakeBackend(rejects(500)), FakeBackend(says("one two")))
    name = (await one.create(BODY)).json()["id"]
    await one.orchestrations.ended()
    body = (await one.http.get(f"/v1/responses/{name}/route")).json()
    assert [route["number"] for route in body["routes"]] == list(range(1, len(body["routes"]) + 1))
    assert {attempt["backend"] for attempt in body["attempts"]} == {"main", "spare"}
    assert body["route"]["backend"] == "spare"
    assert any(rejection["backend"] == "main" and rejection["reason"] for rejection in body["route"]["refused"])
    times = [moment["at"] for moment in body["timeline"]]
    assert times == sorted(times)
    total = sum(Decimal(attempt["cost_usd"]) for attempt in body["attempts"])
    assert Decimal(body["cost_usd"]) == total


async def test_a_queued_turn_has_only_been_admitted() -> None:
    one = api()
    one.orchestrations.hold = True
    name = (await one.create(BODY)).json()["id"]
    body = (await one.http.get(f"/v1/responses/{name}/route")).json()
    assert (body["route"], body["routes"], body["attempts"], body["cost_usd"]) == (None, [], [], "0")
    assert [moment["step"] for moment in body["timeline"]] == ["admitted"]
