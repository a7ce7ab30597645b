"""Does a pipeline spend no more than its budgets, and ask those who may approve its calls?"""

from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.pipelines.event_run import RunStatus
from domain.pipelines.pipeline import Pipeline, Pipelines, PipelineStep
from tests.api.harness import Api
from tests.api.pipelines.events import APP, BODY, EVENT, TICKETS, dead, piped, send
from tests.api.tools.agents import calls
from tests.api.tools.approvals.test_waiting_approvals import CLOSE, WITH_ROLE, decide, waiting
from tests.fakes.backends import FakeBackend, says
from tests.fakes.tools import FakeTools, shop
from tests.fakes.tools import says as answers
from tests.fakes.worlds import OWNER

TOOLS = [{"type": "mcp", "server_label": "shop", "allowed_tools": ["close_shop"]}]
WAITING = BODY | {"model": "auto", "tools": TOOLS, "metadata": {"approval_wait_s": "86400"}}
CLOSING = replace(TICKETS, name="closing", steps=(PipelineStep(body=WAITING),))
COST = Decimal("0.000011")
"""What an event costs; its turn reserves more."""

HEADERS = {"authorization": "Bearer sender", "content-type": "application/cloudevents+json"}


def poor(name: str, **budgets: Decimal) -> Pipeline:
    return replace(TICKETS, name=name, day_budget=budgets.get("day"), month_budget=budgets.get("month"))


async def held(one: Api, name: str) -> Decimal:
    """Return what one event reserves while it runs."""
    answer = await send(one, EVENT | {"id": "first"}, name=name)
    reservation = await one.world.ledger.reservation(APP, answer.json()["data"][0]["response_id"])
    assert reservation is not None
    return reservation.amount


@pytest.mark.parametrize("scope", ["day", "month"])
async def test_a_pipeline_has_budgets_of_its_own(scope: str) -> None:
    model = FakeBackend(says("one two"))
    probe = piped(poor("rich"), model=FakeBackend(says("one two")))
    room = await held(probe, "rich") + COST
    one = piped(poor("poor", **{scope: room}), poor("other", **{scope: room}), model=model)
    for number in range(3):
        await send(one, EVENT | {"id": str(number)}, name="poor")
    assert len(model.calls) == 2
    (found,) = await dead(one, "poor")
    assert f"The pipeline's budget for the {scope} has no room for this turn" in found["reason"]
    await send(one, EVENT, name="other")
    await send(one, EVENT)
    assert len(model.calls) == 4
    one.world.clock.advance(31 * 86_400)
    headers = {"authorization": "Bearer sender"}
    assert (await one.http.post(f"/v1/pipelines/poor/dead/{found['id']}", headers=headers)).status_code == 404
    await send(one, EVENT | {"id": "later"}, name="poor")
    assert len(model.calls) == 5


async def test_a_dead_event_is_sent_again_once_the_budget_has_room() -> None:
    model = FakeBackend(says("one two"))
    room = await held(piped(poor("rich"), model=FakeBackend(says("one two"))), "rich")
    one = piped(poor("poor", day=room), model=model)
    for number in range(2):
        await send(one, EVENT | {"id": str(number)}, name="poor")
    (found,) = await dead(one, "poor")
    one.world.clock.advance(86_400)
    headers = {"authorization": "Bearer sender"}
    assert (await one.http.post(f"/v1/pipelines/poor/dead/{found['id']}", headers=headers)).status_code == 202
    await one.orchestrations.ended()
    assert (await dead(one, "poor"), len(model.calls)) == ([], 2)


async def test_operators_see_the_budgets_and_steps_of_a_pipeline() -> None:
    one = piped(poor("poor", day=Decimal("0.5"), month=Decimal(9)))
    answer = await one.http.get("/v1/pipelines", headers={"authorization": "Bearer operator"})
    (found,) = [each for each in answer.json()["data"] if each["id"] == "poor"]
    assert found["budgets"] == {"response": None, "day": "0.5", "month": "9"}
    assert found["steps"] == []


async def asked(one: Api) -> dict[str, Any]:
    """Send an event whose turn waits for an approval, and return its response."""
    answer = await one.http.post("/v1/events/closing", json=EVENT, headers=HEADERS)
    response_id = answer.json()["data"][0]["response_id"]
    await one.orchestrations.boards[response_id].begun(1)
    return {"id": response_id}


async def listed(one: Api, caller: str) -> list[dict[str, Any]]:
    return (await one.http.get("/v1/approvals", headers={"authorization": f"Bearer {caller}"})).json()["data"]


@pytest.mark.parametrize("approve", [True, False])
async def test_a_call_of_a_pipeline_waits_in_place_for_those_with_the_app_role(*, approve: bool) -> None:
    tools = FakeTools(replies={"close_shop": [answers('{"closed": true}')]})
    pipelines = Pipelines(known={"closing": CLOSING})
    one = waiting(calls(CLOSE), says("done"), tools=tools, servers=shop(WITH_ROLE), pipelines=pipelines)
    made = await asked(one)
    assert [await listed(one, each) for each in ("mine", "strange", "foreigner")] == [[], [], []]
    (request,) = await listed(one, "approver")
    assert (request["response_id"], request["owner"], request["name"]) == (made["id"], APP.subject, "close_shop")
    assert (await decide(one, made, request["id"], approve=approve, by="mine")).status_code == 404
    assert (await decide(one, made, request["id"], approve=approve, by="approver")).status_code == 200
    await one.orchestrations.ended()
    turn = await one.world.turns.read(APP, made["id"])
    await one.world.app.follow_ups.after_event(turn, one.orchestrations)
    (run,) = await one.world.app.pipelines.turns.runs.unfinished(RunStatus.DONE, before=one.world.clock.now() + 1)
    assert run.pipeline == "closing"
    assert [call.tool for call in tools.sent] == (["close_shop"] if approve else [])
    assert OWNER.tenant == APP.tenant


async def test_an_event_that_arrives_again_while_its_turn_waits_changes_nothing() -> None:
    pipelines = Pipelines(known={"closing": CLOSING})
    one = waiting(calls(CLOSE), says("done"), servers=shop(WITH_ROLE), pipelines=pipelines)
    made = await asked(one)
    again = (await one.http.post("/v1/events/closing", json=EVENT, headers=HEADERS)).json()["data"][0]
    assert (again["response_id"], again["status"]) == (made["id"], "open")
    one.world.clock.advance(31)
    await one.world.app.maintenance.pipeline_sweep.run(one.orchestrations)
    (request,) = await listed(one, "approver")
    await decide(one, made, request["id"], approve=False, by="approver")
    await one.orchestrations.ended()
    assert [each["reason"] for each in await dead(one, "closing")] == []
