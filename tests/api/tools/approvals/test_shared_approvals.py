"""Does an approval stay with its call where turns wait in line, share it, end early, or come after a change?"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from api.approvals import answers as approval_answers
from clients.storage.port import OPERATIONS_LIMIT
from domain import wire
from domain.content.items import ItemKind
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from domain.tools.approvals import Approval
from domain.tools.outcomes import TOOL_CHANGED
from domain.tools.planned_calls import MOST_ASKED
from domain.turns.webhook_events import WebhookEndpoints
from state.retention.deletion import Retention
from state.turns.approvals import approval_operations
from tests.api.harness import Api
from tests.api.tools.agents import SHOP, agent, calls
from tests.fakes.backends import says
from tests.fakes.clocks import LoopClock, in_no_time
from tests.fakes.tools import FILE, FakeTools, shop
from tests.fakes.tools import says as answers
from tests.fakes.worlds import OWNER

type Json = dict[str, Any]

CLOSE = ("shop__close_shop", dict[str, Any]())
LOOKUP = ("shop__find_order", {"number": "A-1"})
SLOW = FILE.replace("effect =", "timeout_s = 60\neffect =")
ALWAYS: Json = {**SHOP, "require_approval": "always"}


def answer_to(request_id: str, *, approve: bool = True) -> Json:
    return {"type": "mcp_approval_response", "approval_request_id": request_id, "approve": approve}


async def asked(one: Api, **more: Any) -> Json:
    return (await one.create({"model": "auto", "input": "?", "tools": [SHOP], **more})).json()


def requests_in(made: Json) -> Sequence[str]:
    return [item["id"] for item in made["output"] if item["type"] == "mcp_approval_request"]


async def answer(one: Api, made: Json, *, approve: bool = True, requests: Sequence[str] = (), **more: Any) -> Any:
    given = [answer_to(each, approve=approve) for each in requests or requests_in(made)]
    body = {"model": "auto", "input": given, "previous_response_id": made["id"], "tools": [SHOP], **more}
    return await one.create(body)


async def read(one: Api, made: Json) -> Json:
    return (await one.http.get(f"/v1/responses/{made['id']}")).json()


async def begun(one: Api, made: Json) -> Json:
    """Return a turn that has begun with an approved call, while no orchestration runs."""
    turn = (await answer(one, made, background=True)).json()
    assert await one.world.turns.begin(OWNER, turn["id"], execution="1")
    return turn


async def called(one: Api, made: Json) -> str:
    """Run the step of a turn's only call, and return how it ended."""
    (item,) = (await one.world.turns.transcript(OWNER, made["id"])).items
    turn = {"tenant": OWNER.tenant, "subject": OWNER.subject, "response": made["id"], "traceparent": ""}
    return (await one.world.steps[wire.CALL_TOOL]({**turn, "call": item.id}))["outcome"]


async def until_open(tools: FakeTools) -> None:
    while not tools.open:  # noqa: ASYNC110 - the tools have a count, and no event
        await asyncio.sleep(0)


@pytest.mark.parametrize("approve", [True, False])
async def test_a_turn_in_line_records_its_answer_and_runs_the_call_when_it_begins(*, approve: bool) -> None:
    looking = asyncio.Event()
    tools = FakeTools(replies={"find_order": [looking]})
    one = agent(calls(LOOKUP, CLOSE), says("so be it"), says("again"), tools=tools)
    made = await asked(one, background=True)
    await until_open(tools)
    log = await one.world.turns.transcript(OWNER, made["id"])
    (request,) = [item.id for item in log.items if item.kind is ItemKind.APPROVAL_REQUEST]
    in_line = {"background": True, "metadata": {"on_running": "queue"}}
    waiting = (await answer(one, made, approve=approve, requests=[request], **in_line)).json()
    assert waiting["status"] == "queued"
    looking.set()
    await one.orchestrations.ended()
    ended = await read(one, waiting)
    assert [item["type"] for item in ended["output"]] == (["mcp_call", "message"] if approve else ["message"])
    assert [call.tool for call in tools.sent] == ["find_order", *(["close_shop"] if approve else [])]
    other = await answer(one, made, approve=not approve, requests=[request])
    assert (other.status_code, other.json()["error"]["code"]) == (400, "approval_already_decided")


def test_a_cancelled_turn_leaves_a_write_to_the_turn_that_runs_it() -> None:
    async def test() -> None:
        closing = asyncio.Event()
        tools = FakeTools(replies={"close_shop": [closing]})
        one = agent(calls(CLOSE), says("closed"), tools=tools, servers=shop(SLOW), clock=LoopClock())
        made = await asked(one)
        first = (await answer(one, made, background=True)).json()
        await asyncio.sleep(1)
        second = (await answer(one, made, background=True)).json()
        await asyncio.sleep(1)
        await one.http.post(f"/v1/responses/{second['id']}/cancel")
        await asyncio.sleep(30)
        closing.set()
        await one.orchestrations.ended()
        call = (await read(one, first))["output"][0]
        assert (call["status"], call["output"], len(tools.sent)) == ("completed", "done", 1)

    in_no_time(test())


def test_a_cancelled_turn_leaves_a_read_to_the_turn_that_took_it_over() -> None:
    async def test() -> None:
        never, found = asyncio.Event(), asyncio.Event()
        tools = FakeTools(replies={"find_order": [never, found]})
        one = agent(calls(LOOKUP), says("found"), tools=tools, servers=shop(SLOW), clock=LoopClock())
        made = await asked(one, tools=[ALWAYS])
        first = (await answer(one, made, background=True)).json()
        await asyncio.sleep(1)
        second = (await answer(one, made, background=True)).json()
        await asyncio.sleep(1)
        await one.http.post(f"/v1/responses/{first['id']}/cancel")
        await asyncio.sleep(3)
        found.set()
        await one.orchestrations.ended()
        call = (await read(one, second))["output"][0]
        assert (call["status"], call["output"]) == ("completed", "done")

    in_no_time(test())


async def test_a_turn_that_ended_before_its_call_leaves_the_run_of_another_turn_alone() -> None:
    found = asyncio.Event()
    tools = FakeTools(replies={"find_order": [found]})
    one = agent(calls(LOOKUP), says("found"), tools=tools)
    made = await asked(one, tools=[ALWAYS])
    first = (await answer(one, made, background=True)).json()
    await until_open(tools)
    one.orchestrations.hold = True
    second = await begun(one, made)
    await one.world.turns.finish(OWNER, second["id"], status=ResponseStatus.CANCELLED)
    assert await called(one, second) == "ended"
    found.set()
    await one.orchestrations.ended()
    call = (await read(one, first))["output"][0]
    assert (call["status"], call["output"]) == ("completed", "done")


@pytest.mark.parametrize("how", ["before", "meanwhile"])
async def test_a_call_whose_request_is_deleted_is_not_sent_and_leaves_no_record(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = FakeTools()
    one = agent(calls(CLOSE), tools=tools)
    made = await asked(one)
    one.orchestrations.hold = True
    second, world = await begun(one, made), one.world
    retention, find = Retention(world.store, world.turns, world.clock), world.turns.approvals.find

    async def found_and_deleted(owner: Owner, request: str) -> Approval | None:
        approval = await find(owner, request)
        await retention.delete_response(OWNER, made["id"])
        return approval

    if how == "before":
        await retention.delete_response(OWNER, made["id"])
    else:
        monkeypatch.setattr(world.turns.approvals, "find", found_and_deleted)
    assert await called(one, second) == "incomplete"
    assert (tools.sent, await world.app.state.tool_calls.of_response(OWNER, made["id"])) == ([], ())


@pytest.mark.parametrize("was_run", [True, False])
async def test_a_thread_goes_on_after_an_approval_whose_tool_has_changed_since(*, was_run: bool) -> None:
    tools = FakeTools(replies={"close_shop": [answers("closed")]})
    one = agent(calls(CLOSE), says("closed"), tools=tools)
    made = await asked(one)
    one.orchestrations.hold = not was_run
    await answer(one, made, background=True)
    await one.orchestrations.ended()
    changed = shop(FILE.replace("Closes the shop.", "Closes all shops."))
    later = agent(says("so"), servers=changed, tools=tools, store=one.world.store, clock=one.world.clock)
    again = (await answer(later, made)).json()
    call = again["output"][0] if again["output"][0]["type"] == "mcp_call" else again["output"][1]
    assert (again["status"], call["output"]) == ("completed", "closed" if was_run else None)
    assert len(tools.sent) == (1 if was_run else 0)
    assert was_run or call["error"]["content"] == TOOL_CHANGED


async def test_no_turn_may_make_more_calls_than_its_limit_however_many_are_approved() -> None:
    tools = FakeTools()
    one = agent(calls(CLOSE, CLOSE), says("closed"), tools=tools)
    made = await asked(one)
    refused = await answer(one, made, max_tool_calls=1)
    assert (refused.status_code, refused.json()["error"]["param"], tools.sent) == (400, "input", [])
    assert (await answer(one, made)).status_code == 200
    assert len(tools.sent) == 2


async def test_a_turn_with_very_many_calls_to_approve_can_end() -> None:
    one = agent(calls(*[CLOSE] * 120), servers=shop("[limits]\nmax_tool_calls = 1000\n" + FILE))
    made = await asked(one)
    assert (made["status"], len(requests_in(made))) == ("completed", MOST_ASKED)


async def test_the_end_of_a_turn_records_as_many_requests_as_one_commit_can_have() -> None:
    one = agent(calls(CLOSE))
    made = await asked(one)
    ended = await one.world.turns.read(OWNER, made["id"])
    (request,) = await one.world.turns.items(OWNER, requests_in(made))
    many = [request] * OPERATIONS_LIMIT
    assert len(tuple(approval_operations(WebhookEndpoints(), ended, many))) == MOST_ASKED


async def test_requests_with_an_answer_do_not_fill_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approval_answers, "MAX_REQUESTS", 1)
    one = agent(calls(CLOSE), calls(CLOSE), says("closed twice"))
    made = await asked(one)
    again = (await answer(one, made)).json()
    assert (await answer(one, again)).status_code == 200
    refused = await answer(one, again, requests=[*requests_in(again)] * 2)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_value")


@pytest.mark.parametrize("approve", [True, False])
async def test_a_thread_that_is_sent_back_as_a_whole_carries_out_each_answer_once(*, approve: bool) -> None:
    tools = FakeTools()
    one = agent(calls(CLOSE), says("so be it"), says("and on"), tools=tools)
    made = await asked(one)
    sent_back: list[Json] = [{"role": "user", "content": "?"}, *made["output"]]
    sent_back.append(answer_to(requests_in(made)[0], approve=approve))
    again = (await one.create({"model": "auto", "input": sent_back, "tools": [SHOP]})).json()
    await one.http.delete(f"/v1/responses/{made['id']}")
    sent_back += [*again["output"], {"role": "user", "content": "and?"}]
    last = (await one.create({"model": "auto", "input": sent_back, "tools": [SHOP]})).json()
    assert [item["type"] for item in again["output"]] == [*(["mcp_call"] if approve else []), "message"]
    assert [item["type"] for item in last["output"]] == ["message"]
    assert len(tools.sent) == (1 if approve else 0)


async def test_an_approved_call_that_a_turn_reads_is_not_shown_again() -> None:
    one = agent(calls(CLOSE), says("closed"), says("yes"))
    made = await asked(one)
    again = (await answer(one, made)).json()
    last = (await answer(one, again, requests=requests_in(made))).json()
    assert [item["type"] for item in last["output"]] == ["message"]
