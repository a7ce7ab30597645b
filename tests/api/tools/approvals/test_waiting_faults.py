"""Do waiting turns stay listed once, counted right and settled soon, where signals are lost and steps run twice?"""

import asyncio
from copy import replace
from typing import Any

import pytest

from clients.orchestrations import turn_wire
from domain import packed_wire, wire
from domain.content.items import ItemKind
from domain.money.ledger_records import ReservationStatus
from domain.tools.approvals import Decision
from domain.turns.rate_limits import RunningTurn
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookDelivery
from state.approvals.waits import ApprovalWaits
from state.rate_limits import RateLimiter
from tests.api.harness import Api
from tests.api.tools.agents import SHOP, agent, calls
from tests.api.tools.approvals.test_waiting_approvals import (
    CLOSE,
    FOUR_EYES,
    approvals,
    ask,
    code_of,
    decide,
    ended,
    requests_in,
    status_of_reservation,
    waiting,
)
from tests.api.tools.approvals.test_waiting_days import ENDPOINTS
from tests.fakes.backends import says
from tests.fakes.tools import FakeTools, shop
from tests.fakes.tools import says as answers
from tests.fakes.worlds import OWNER

type Json = dict[str, Any]

LOOKUP = ("shop__find_order", {"number": "A-1"})
REFUND = ("shop__refund_order", {"number": "A-1"})
ALWAYS: Json = {**SHOP, "require_approval": "always"}
MINUTE = 60.0


async def end_unheard(one: Api, made: Json, how: str) -> None:
    """End a waiting turn, and lose the signal to its orchestration."""
    place, board = f"/v1/responses/{made['id']}", one.orchestrations.boards.pop(made["id"])
    answer = await (one.http.delete(place) if how == "delete" else one.http.post(f"{place}/cancel"))
    assert answer.status_code == 200
    one.orchestrations.boards[made["id"]] = board
    await asyncio.sleep(0)
    assert not any(each.done() for each in one.orchestrations.tasks)


@pytest.mark.parametrize("how", ["cancel", "delete"])
async def test_a_turn_that_is_ended_while_it_waits_is_settled_soon_although_the_signal_was_lost(how: str) -> None:
    one = waiting(calls(CLOSE))
    made = await ask(one)
    one.orchestrations.running.add(made["id"])
    await end_unheard(one, made, how)
    one.world.clock.advance(2 * MINUTE)
    await one.world.app.maintenance.run(one.orchestrations)
    await asyncio.gather(*one.orchestrations.tasks, return_exceptions=True)
    one.orchestrations.running.clear()
    for _ in range(2):
        one.world.clock.advance(20 * MINUTE)
        await one.world.app.maintenance.run(one.orchestrations)
    assert await status_of_reservation(one, made) is ReservationStatus.SETTLED
    assert "ended_wait" not in await one.stored()


async def test_a_turn_that_is_ended_while_it_waits_is_settled_soon_although_its_orchestration_is_gone() -> None:
    one = waiting(calls(CLOSE))
    made = await ask(one)
    await end_unheard(one, made, "cancel")
    for task in one.orchestrations.tasks:
        task.cancel()
    for _ in range(2):
        one.world.clock.advance(20 * MINUTE)
        await one.world.app.maintenance.run(one.orchestrations)
    assert await status_of_reservation(one, made) is ReservationStatus.SETTLED
    assert "ended_wait" not in await one.stored()


async def test_a_turn_that_runs_in_the_hub_of_another_app_on_the_store_is_left_to_that_app() -> None:
    """Blue/green: the app that has taken the decision does not see the orchestration."""
    one = waiting(calls(CLOSE), says("closed"))
    made = await ask(one)
    blue = one.orchestrations.boards.pop(made["id"])
    one.world.clock.advance(60 * MINUTE)
    await decide(one, made, requests_in(made)[0], approve=True)
    one.world.clock.advance(2 * MINUTE)
    await one.world.app.maintenance.run(one.orchestrations)
    assert (await one.http.get(f"/v1/responses/{made['id']}")).json()["status"] == "in_progress"
    one.orchestrations.boards[made["id"]] = blue
    one.orchestrations.running.add(made["id"])
    await one.world.app.maintenance.run(one.orchestrations)
    assert (await ended(one, made))["status"] == "completed"


async def test_a_decided_turn_that_no_app_runs_fails_after_the_silent_time() -> None:
    one = waiting(calls(CLOSE), says("closed"))
    made = await ask(one)
    one.orchestrations.boards.pop(made["id"])
    await decide(one, made, requests_in(made)[0], approve=True)
    one.world.clock.advance(20 * MINUTE)
    await one.world.app.maintenance.run(one.orchestrations)
    assert (await one.http.get(f"/v1/responses/{made['id']}")).json()["status"] == "failed"
    for task in one.orchestrations.tasks:
        task.cancel()


async def test_a_request_whose_step_ran_twice_is_listed_once() -> None:
    one = waiting(calls(CLOSE), says("closed"))
    made = await ask(one)
    (request,) = requests_in(made)
    found = await one.world.turns.approvals.find(OWNER, request)
    assert found
    for earlier_s in (0.5, -0.5):
        left = found.asked_at - earlier_s
        await one.world.app.state.approval_waits.index.add(OWNER, [replace(found, asked_at=left)])
    listed = await approvals(one)
    assert [each["id"] for each in listed["data"]] == [request]
    assert (await approvals(one, after=request))["data"] == []
    await decide(one, made, request, approve=True)
    await ended(one, made)
    assert (await approvals(one))["data"] == []


async def test_a_turn_that_resumes_while_running_turns_are_counted_still_counts() -> None:
    one = waiting(calls(CLOSE))
    made = await ask(one)
    state = one.world.app.state
    other = RateLimiter(
        store=one.world.store,
        turns=one.world.turns,
        clock=one.world.clock,
        limits=one.limits.limits,
        changes=one.limits.changes,
    )
    await other.enter(OWNER, "resp_" + "b" * 48)
    await other.limiter(OWNER).check_running()
    assert made["id"] in other.limiter(OWNER).ended
    await state.rate_limiter.resume(OWNER, made["id"])
    await other.enter(OWNER, "resp_" + "c" * 48)
    running = other.limiter(OWNER).usage.running
    assert isinstance(running[made["id"]], RunningTurn)
    for task in one.orchestrations.tasks:
        task.cancel()


async def approve_again(one: Api, made: Json) -> Json:
    answer = {"type": "mcp_approval_response", "approval_request_id": requests_in(made)[0], "approve": True}
    body = {"model": "auto", "input": [answer], "previous_response_id": made["id"], "tools": [ALWAYS]}
    return (await one.create(body)).json()


async def test_two_turns_with_one_approval_of_a_write_with_a_key_send_one_key_and_have_one_result() -> None:
    tools = FakeTools(replies={"refund_order": [answers("refunded"), answers("refunded before")]})
    one = agent(calls(REFUND), says("so be it"), tools=tools)
    made = (await one.create({"model": "auto", "input": "?", "tools": [ALWAYS]})).json()
    both = await asyncio.gather(approve_again(one, made), approve_again(one, made))
    both = [*both, await approve_again(one, made)]
    runs = [[each for each in turn["output"] if each["type"] == "mcp_call"] for turn in both]
    assert [len(each) for each in runs] == [1, 1, 1]
    assert {(call["status"], call["output"]) for (call,) in runs} == {("completed", runs[0][0]["output"])}
    assert {each.key for each in tools.sent} == {requests_in(made)[0]}
    assert {call["approval_request_id"] for (call,) in runs} == {requests_in(made)[0]}


async def asked_beside_an_open_call(**more: Any) -> tuple[asyncio.Event, FakeTools, Api, Json]:
    """Return a turn that waits for a decision while another call of its round runs until the event is set."""
    looking = asyncio.Event()
    tools = FakeTools(replies={"find_order": [looking]})
    one = waiting(calls(LOOKUP, CLOSE), says("so be it"), tools=tools, **more)
    body = {"model": "auto", "input": "close", "tools": [SHOP], "background": True}
    made = (await one.create({**body, "metadata": {"approval_wait_s": "864000"}})).json()
    while not tools.open:  # noqa: ASYNC110 - the tools have a count, and no event
        await asyncio.sleep(0)
    return looking, tools, one, made


async def is_not_announced(_waits: ApprovalWaits, _response: Response) -> None:
    """Stand for a store that fails for a moment."""
    await asyncio.sleep(0)


@pytest.mark.parametrize("approve", [True, False])
@pytest.mark.parametrize("is_announced", [True, False])
async def test_a_request_can_be_decided_while_other_calls_of_its_round_still_run(
    monkeypatch: pytest.MonkeyPatch, *, approve: bool, is_announced: bool
) -> None:
    if not is_announced:
        monkeypatch.setattr(ApprovalWaits, "announce", is_not_announced)
    looking, tools, one, made = await asked_beside_an_open_call()
    log = await one.world.turns.transcript(OWNER, made["id"])
    (request,) = [item.id for item in log.items if item.kind is ItemKind.APPROVAL_REQUEST]
    both = await asyncio.gather(*(decide(one, made, request, approve=approve) for _ in range(2)))
    assert [each.status_code for each in both] == [200, 200]
    assert code_of(await decide(one, made, request, approve=not approve)) == (400, "approval_already_decided")
    assert [each.tool for each in tools.sent] == ["find_order"]
    looking.set()
    last = await ended(one, made)
    shown = [each for each in last["output"] if each["type"] == "mcp_approval_response"]
    assert (last["status"], shown) == ("completed", [both[0].json()])
    assert [each.tool for each in tools.sent] == ["find_order", *(["close_shop"] if approve else [])]


async def due(one: Api) -> list[Any]:
    """Return the webhooks that are to be sent."""
    return list(await one.world.app.state.webhook_outbox.overdue(before=one.world.clock.now() + 1))


async def announce_again(one: Api, made: Json) -> None:
    """Deliver the step of an attempt once more, in the short form in which the host has its messages."""

    async def infer(request: wire.InferWire) -> Any:
        assert packed_wire.IDS in request
        await asyncio.sleep(0)
        return {packed_wire.STEP: "i", "result": "calls", "calls": ["mcp_1"]}

    turn = turn_wire(await one.world.turns.read(OWNER, made["id"]))
    await one.world.app.follow_ups.after_inferring(infer)(packed_wire.packed_request(wire.INFER, turn), None)


async def test_deciders_learn_of_a_request_before_the_other_calls_of_its_round_have_ended() -> None:
    looking, tools, one, made = await asked_beside_an_open_call(servers=shop(FOUR_EYES), endpoints=ENDPOINTS)
    listed = await one.http.get("/v1/approvals", headers={"authorization": "Bearer approver"})
    (request,) = listed.json()["data"]
    (told,) = await due(one)
    assert isinstance(told, WebhookDelivery)
    assert made["id"].encode() in told.body
    assert one.orchestrations.deliveries == [f"{told.response} approvals"]
    await announce_again(one, made)
    assert one.orchestrations.deliveries == [f"{told.response} approvals"] * 2
    assert code_of(await decide(one, made, request["id"], approve=True)) == (403, "approver_required")
    assert (await decide(one, made, request["id"], approve=True, by="approver")).status_code == 200
    assert [each.tool for each in tools.sent] == ["find_order"]
    looking.set()
    last = await ended(one, made)
    assert (last["status"], [each.tool for each in tools.sent]) == ("completed", ["find_order", "close_shop"])
    left = await one.http.get("/v1/approvals", headers={"authorization": "Bearer approver"})
    assert left.json()["data"] == []
    assert await due(one) == [told], "announced once"


async def test_a_request_of_a_turn_that_was_cancelled_before_it_waited_is_decided_by_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ApprovalWaits, "announce", is_not_announced)
    looking, _, one, made = await asked_beside_an_open_call()
    log = await one.world.turns.transcript(OWNER, made["id"])
    (request,) = [item.id for item in log.items if item.kind is ItemKind.APPROVAL_REQUEST]
    response = await one.world.turns.read(OWNER, made["id"])
    waits = one.world.app.state.approval_waits
    unasked = await waits.unasked(response, request)
    await one.http.post(f"/v1/responses/{made['id']}/cancel")
    assert code_of(await decide(one, made, request, approve=True)) == (400, "approval_not_found")
    assert unasked
    decision = Decision(approves=True, reason="", by=OWNER.subject, at=one.world.clock.now())
    assert (await waits.decide_early(OWNER, unasked, decision)).decision is None
    looking.set()
    await one.orchestrations.ended()
    assert "approval" not in await one.stored()


async def test_a_turn_that_was_cancelled_after_its_request_was_announced_is_decided_by_nobody() -> None:
    looking, tools, one, made = await asked_beside_an_open_call()
    (request,) = (await approvals(one))["data"]
    await one.http.post(f"/v1/responses/{made['id']}/cancel")
    assert code_of(await decide(one, made, request["id"], approve=True)) == (400, "approval_expired")
    assert (await approvals(one))["data"] == []
    looking.set()
    await one.orchestrations.ended()
    assert [each.tool for each in tools.sent] == ["find_order"]
    assert (await one.http.delete(f"/v1/responses/{made['id']}")).status_code == 200
    assert "approval" not in await one.stored()
