"""Does a turn that waits for approvals in place go on with each decision, once, and end without one?"""

import asyncio
from copy import replace
from typing import Any

import httpx
import pytest

from clients.storage.keys import owner_index_key
from clients.storage.port import Create
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from domain.money.ledger_records import ReservationStatus
from domain.tools.catalog import ToolServers
from domain.tools.listings.listing import ListedTool, ToolListing
from state import time_index
from state.approvals.index import OPEN, open_id
from state.time_index import CHUNK
from tests.api.harness import Api, FakeAuthenticator, events_of
from tests.api.tools.agents import SHOP, agent, calls, sent
from tests.fakes.backends import says
from tests.fakes.tools import FILE, FakeTools, SentCall, shop
from tests.fakes.tools import says as answers
from tests.fakes.worlds import OWNER

type Json = dict[str, Any]

CLOSE = ("shop__close_shop", dict[str, Any]())
NOTE = ("shop__send_note", {"text": "hello"})
DAY = 86_400
APPROVER = Owner(tenant=OWNER.tenant, subject="user:88888888-8888-8888-8888-888888888888", roles=("Shop.Approve",))
FOREIGNER = replace(APPROVER, tenant="99999999-9999-9999-9999-999999999999")
WITH_ROLE = FILE.replace("trusted = true\n", 'trusted = true\napprovers = ["Shop.Approve"]\n')
OVER_MCP = """
[servers.shop]
kind = "mcp"
url = "http://127.0.0.1:1"

[servers.shop.tools.close_shop]
effect = "write"
"""
FOUR_EYES = WITH_ROLE.replace("trusted = true\n", "trusted = true\nfour_eyes = true\n")


def waiting(*scripts: Any, tools: FakeTools | None = None, servers: ToolServers | None = None, **more: Any) -> Api:
    people = FakeAuthenticator()
    people.owners = {**people.owners, "approver": APPROVER, "foreigner": FOREIGNER}
    return agent(*scripts, tools=tools, servers=servers, authenticator=people, **more)


async def ask(one: Api, *, days: float = 30, **more: Any) -> Json:
    """Begin a turn that waits in place, and return it once it does."""
    metadata = {"approval_wait_s": str(int(days * DAY))}
    body = {"model": "auto", "input": "close", "tools": [SHOP], "background": True, "metadata": metadata, **more}
    made = (await one.create(body)).json()
    assert made["status"] in ("queued", "in_progress")
    return await when_waiting(one, made["id"], more=0)


async def when_waiting(one: Api, response_id: str, *, more: int) -> Json:
    """Return a response once its turn has begun another wait than the first `more` ones."""
    board = one.orchestrations.boards[response_id]
    await board.begun(more + 1)
    return (await one.http.get(f"/v1/responses/{response_id}")).json()


async def ended(one: Api, made: Json) -> Json:
    await one.orchestrations.ended()
    return (await one.http.get(f"/v1/responses/{made['id']}")).json()


def requests_in(made: Json) -> list[str]:
    return [item["id"] for item in made["output"] if item["type"] == "mcp_approval_request"]


async def decide(one: Api, made: Json, request: str, *, approve: bool, by: str = "mine", **more: Any) -> httpx.Response:
    body = {"approval_request_id": request, "approve": approve, **more}
    headers = {"authorization": f"Bearer {by}"}
    return await one.http.post(f"/v1/responses/{made['id']}/approvals", json=body, headers=headers)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    error: Json = answer.json().get("error") or {}
    return answer.status_code, error.get("code", "")


async def pass_time(one: Api, made: Json, seconds: float) -> None:
    one.world.clock.advance(seconds)
    one.orchestrations.boards[made["id"]].post()
    await asyncio.sleep(0)


def kinds(made: Json) -> list[str]:
    return [item["type"] for item in made["output"]]


async def test_an_approved_call_runs_in_the_same_response() -> None:
    tools = FakeTools(replies={"close_shop": [answers('{"closed": true}')]})
    one = waiting(calls(CLOSE), says("it is closed"), tools=tools)
    made = await ask(one)
    assert (made["status"], kinds(made)) == ("in_progress", ["mcp_list_tools", "mcp_approval_request"])
    (request,) = requests_in(made)
    answer = await decide(one, made, request, approve=True, reason="go on")
    last = await ended(one, made)
    assert last["status"] == "completed"
    _, _, shown, call, message = last["output"]
    assert answer.json() == shown
    assert (shown["type"], shown["approve"], shown["reason"]) == ("mcp_approval_response", True, "go on")
    assert (call["approval_request_id"], call["output"]) == (request, '{"closed": true}')
    assert message["content"][0]["text"] == "it is closed"
    assert tools.sent == [SentCall(tool="close_shop", arguments={}, key=request)]


async def test_a_denied_call_is_not_run_and_the_model_reads_why() -> None:
    tools = FakeTools()
    one = waiting(calls(CLOSE), says("as you like"), tools=tools)
    made = await ask(one)
    await decide(one, made, requests_in(made)[0], approve=False, reason="not on a Monday")
    last = await ended(one, made)
    assert (last["status"], kinds(last)[-2:], tools.sent) == ("completed", ["mcp_approval_response", "message"], [])
    assert "it was denied. not on a Monday" in str(sent(one)["messages"])


async def test_a_request_that_nobody_answers_is_denied_after_its_time() -> None:
    one = waiting(calls(CLOSE), says("so not"))
    made = await ask(one)
    for _ in range(2):
        await pass_time(one, made, 3.6 * DAY)
    last = await ended(one, made)
    assert last["status"] == "completed"
    shown = last["output"][-2]
    assert (shown["approve"], shown["reason"]) == (False, "Nobody has answered in time.")
    late = await decide(one, made, requests_in(made)[0], approve=True)
    assert code_of(late) == (400, "approval_expired")


async def test_each_wait_is_one_timer_and_no_activity() -> None:
    one = waiting(calls(CLOSE), says("so not"))
    made = await ask(one)
    board = one.orchestrations.boards[made["id"]]
    assert board.waits == [pytest.approx(5 * DAY, abs=1)]
    await pass_time(one, made, 5 * DAY)
    await when_waiting(one, made["id"], more=1)
    assert board.waits[1] == pytest.approx(2 * DAY, abs=1)
    await pass_time(one, made, 2 * DAY)
    assert (await ended(one, made))["status"] == "completed"


async def test_the_deadline_is_paused_while_the_turn_waits() -> None:
    one = waiting(calls(CLOSE), says("closed"))
    made = await ask(one, metadata={"approval_wait_s": str(6 * DAY), "deadline_ms": "60000"})
    before = await one.world.turns.read(OWNER, made["id"])
    await pass_time(one, made, 4 * DAY)
    await decide(one, made, requests_in(made)[0], approve=True)
    last = await ended(one, made)
    after = await one.world.turns.read(OWNER, made["id"])
    assert (last["status"], kinds(last)[-1]) == ("completed", "message")
    assert after.deadline_at - before.deadline_at == pytest.approx(4 * DAY, abs=60)
    assert after.created_at == before.created_at


async def test_a_turn_that_has_waited_long_enough_ends_with_its_request_which_a_later_turn_answers() -> None:
    tools = FakeTools()
    one = waiting(calls(CLOSE), says("closed"), tools=tools)
    made = await ask(one, days=1)
    await pass_time(one, made, DAY)
    last = await ended(one, made)
    assert (last["status"], kinds(last)[-1]) == ("completed", "mcp_approval_request")
    (request,) = requests_in(last)
    assert code_of(await decide(one, made, request, approve=True)) == (400, "approval_not_found")
    answer = {"type": "mcp_approval_response", "approval_request_id": request, "approve": True}
    body = {"model": "auto", "input": [answer], "previous_response_id": made["id"], "tools": [SHOP]}
    assert kinds((await one.create(body)).json()) == ["mcp_call", "message"]
    assert len(tools.sent) == 1


async def test_two_requests_are_carried_out_as_they_are_decided() -> None:
    tools = FakeTools()
    always = {**SHOP, "require_approval": "always"}
    one = waiting(calls(CLOSE, NOTE), says("done"), tools=tools)
    made = await ask(one, tools=[always])
    first, second = requests_in(made)
    await decide(one, made, second, approve=True)
    between = await when_waiting(one, made["id"], more=1)
    assert [call.tool for call in tools.sent] == ["send_note"]
    assert (between["status"], kinds(between)[-2:]) == ("in_progress", ["mcp_approval_response", "mcp_call"])
    await decide(one, made, first, approve=False)
    last = await ended(one, made)
    assert (last["status"], len(tools.sent)) == ("completed", 1)


async def test_two_that_are_decided_at_once_both_run() -> None:
    tools = FakeTools()
    one = waiting(calls(CLOSE, NOTE), says("done"), tools=tools)
    made = await ask(one, tools=[{**SHOP, "require_approval": "always"}])
    await asyncio.gather(*(decide(one, made, each, approve=True) for each in requests_in(made)))
    assert (await ended(one, made))["status"] == "completed"
    assert sorted(call.tool for call in tools.sent) == ["close_shop", "send_note"]


async def test_a_decision_is_final_and_an_equal_one_is_the_same_answer() -> None:
    tools = FakeTools()
    one = waiting(calls(CLOSE), says("closed"), tools=tools)
    made = await ask(one)
    (request,) = requests_in(made)
    answered = [await decide(one, made, request, approve=True, reason=each) for each in ("first", "second")]
    assert code_of(await decide(one, made, request, approve=False)) == (400, "approval_already_decided")
    await ended(one, made)
    answered.append(await decide(one, made, request, approve=True))
    assert [each.json()["reason"] for each in answered] == ["first"] * 3
    assert code_of(await decide(one, made, request, approve=False)) == (400, "approval_already_decided")
    assert len(tools.sent) == 1


async def test_of_two_deciders_at_once_one_wins() -> None:
    one = waiting(calls(CLOSE), says("done"), servers=shop(WITH_ROLE))
    made = await ask(one)
    (request,) = requests_in(made)
    both = await asyncio.gather(
        decide(one, made, request, approve=True), decide(one, made, request, approve=False, by="approver")
    )
    assert sorted(each.status_code for each in both) == [200, 400]
    last = await ended(one, made)
    (won,) = [each for each in both if each.status_code == 200]
    assert won.json() in last["output"]


async def test_an_early_answer_answers_no_later_request() -> None:
    tools = FakeTools()
    one = waiting(calls(CLOSE), calls(CLOSE), says("done"), tools=tools)
    made = await ask(one)
    (first,) = requests_in(made)
    unknown = first[:-24] + "0" * 24
    assert code_of(await decide(one, made, unknown, approve=True)) == (400, "approval_not_found")
    await decide(one, made, first, approve=True)
    await decide(one, made, first, approve=True)
    again = await when_waiting(one, made["id"], more=1)
    assert (again["status"], len(tools.sent)) == ("in_progress", 1)
    second = next(each for each in requests_in(again) if each != first)
    await decide(one, made, second, approve=False)
    assert (await ended(one, made))["status"] == "completed"
    assert len(tools.sent) == 1


async def test_nobody_else_decides() -> None:
    one = waiting(calls(CLOSE), says("done"), servers=shop(WITH_ROLE))
    made = await ask(one)
    (request,) = requests_in(made)
    for other in ("strange", "foreigner", "double", "far"):
        assert (await decide(one, made, request, approve=True, by=other)).status_code == 404
    assert (await decide(one, made, request, approve=True, by="approver")).status_code == 200
    assert (await ended(one, made))["status"] == "completed"
    report = (await one.http.get(f"/v1/responses/{made['id']}/route")).json()
    (told,) = report["approvals"]
    assert (told["decided_by"], told["approve"], told["asked_roles"]) == (APPROVER.subject, True, ["Shop.Approve"])


async def test_with_four_eyes_somebody_else_than_the_owner_decides() -> None:
    one = waiting(calls(CLOSE), says("done"), servers=shop(FOUR_EYES))
    made = await ask(one)
    (request,) = requests_in(made)
    for approve in (True, False):
        assert code_of(await decide(one, made, request, approve=approve)) == (403, "approver_required")
    assert (await decide(one, made, request, approve=True, by="approver")).status_code == 200
    assert (await ended(one, made))["status"] == "completed"


async def test_with_four_eyes_no_new_turn_of_the_owner_approves() -> None:
    one = waiting(calls(CLOSE), says("done"), servers=shop(FOUR_EYES))
    made = (await one.create({"model": "auto", "input": "close", "tools": [SHOP]})).json()
    answer = {"type": "mcp_approval_response", "approval_request_id": requests_in(made)[0], "approve": True}
    body: Json = {"model": "auto", "input": [answer], "previous_response_id": made["id"], "tools": [SHOP]}
    assert code_of(await one.create(body)) == (403, "approver_required")
    body["input"] = [{**answer, "approve": False}]
    assert (await one.create(body)).status_code == 200


async def test_each_caller_lists_what_it_may_decide() -> None:
    one = waiting(calls(CLOSE), calls(CLOSE), says("done"), says("done"), servers=shop(WITH_ROLE))
    first = await ask(one)
    one.world.clock.advance(1)
    second = await ask(one)
    listed = await approvals(one)
    assert [each["response_id"] for each in listed["data"]] == [second["id"], first["id"]]
    assert listed["data"][0] | {"created_at": 0, "expires_at": 0} == {
        "id": requests_in(second)[0],
        "object": "approval",
        "type": "mcp_approval_request",
        "response_id": second["id"],
        "owner": OWNER.subject,
        "server_label": "shop",
        "name": "close_shop",
        "arguments": "{}",
        "created_at": 0,
        "expires_at": 0,
    }
    assert await approvals(one, by="approver") == listed
    for other in ("strange", "foreigner", "double"):
        assert (await approvals(one, by=other))["data"] == []
    page = await approvals(one, limit=1)
    rest = await approvals(one, limit=1, after=page["last_id"])
    assert [each["data"][0]["response_id"] for each in (page, rest)] == [second["id"], first["id"]]
    assert [page["has_more"], rest["has_more"]] == [True, False]
    await decide(one, second, requests_in(second)[0], approve=True)
    await one.http.post(f"/v1/responses/{first['id']}/cancel")
    await one.orchestrations.ended()
    assert (await approvals(one))["data"] == []


async def test_a_page_of_requests_whose_turns_are_gone_is_followed_by_the_next_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = waiting(calls(CLOSE))
    made = await ask(one)
    (request,) = requests_in(made)
    (listed,) = await one.world.store.list(owner_index_key(OWNER), prefix=OPEN, after="", limit=5)
    gone = [f"mcpr_{number:048x}" for number in range(2 * CHUNK)]
    later = listed.body["at"] + 1
    for name in gone:
        entry = Create(id=open_id(later, name), body={**listed.body, "request": name, "at": later})
        await one.world.store.commit(owner_index_key(OWNER), (entry,))
    monkeypatch.setattr(time_index, "SCAN_LIMIT", CHUNK)
    page: Json = {"last_id": ""}
    for _ in range(2):
        page = await approvals(one, after=page["last_id"])
        assert (page["data"], page["has_more"]) == ([], True)
    page = await approvals(one, after=page["last_id"])
    assert ([each["id"] for each in page["data"]], page["has_more"]) == ([request], False)


@pytest.mark.parametrize(
    "after", ["approval_open_", "approval_open_1_mcpr_x", f"approval_open_{'9' * 13}_resp_{'0' * 48}", "mcpr_1"]
)
async def test_a_place_that_no_page_has_named_is_unknown(after: str) -> None:
    answer = await waiting().http.get("/v1/approvals", params={"after": after})
    assert code_of(answer) == (404, "item_not_found")


async def approvals(one: Api, *, by: str = "mine", **query: Any) -> Json:
    answer = await one.http.get("/v1/approvals", params=query, headers={"authorization": f"Bearer {by}"})
    assert answer.status_code == 200
    return answer.json()


async def test_a_cancelled_turn_waits_no_longer() -> None:
    tools = FakeTools()
    one = waiting(calls(CLOSE), tools=tools)
    made = await ask(one)
    assert (await one.http.post(f"/v1/responses/{made['id']}/cancel")).json()["status"] == "cancelled"
    await one.orchestrations.ended()
    assert code_of(await decide(one, made, requests_in(made)[0], approve=True)) == (400, "approval_expired")
    assert tools.sent == []
    assert await status_of_reservation(one, made) is ReservationStatus.SETTLED


async def test_nothing_is_left_of_a_deleted_turn_that_waited() -> None:
    one = waiting(calls(CLOSE))
    made = await ask(one)
    assert (await one.http.delete(f"/v1/responses/{made['id']}")).status_code == 200
    await asyncio.gather(*one.orchestrations.tasks, return_exceptions=True)
    assert (await decide(one, made, requests_in(made)[0], approve=True)).status_code == 404
    assert (await approvals(one))["data"] == []
    assert "approval" not in await one.stored()


async def status_of_reservation(one: Api, made: Json) -> ReservationStatus:
    found = await one.world.ledger.reservation(OWNER, made["id"])
    assert found
    return found.status


async def test_a_waiting_turn_does_not_count_as_running_and_its_reservation_is_set_aside() -> None:
    one = waiting(calls(CLOSE), says("done"))
    made = await ask(one)
    assert await status_of_reservation(one, made) is ReservationStatus.ASIDE
    limiter = one.limits.limiter(OWNER)
    assert set(limiter.usage.running) == {made["id"]}
    await limiter.check_running()
    assert set(limiter.ended) == {made["id"]}
    running = await one.world.turns.unfinished(ResponseStatus.IN_PROGRESS, before=one.world.clock.now() + DAY)
    assert running == ()
    await decide(one, made, requests_in(made)[0], approve=True)
    assert (await ended(one, made))["status"] == "completed"
    assert await status_of_reservation(one, made) is ReservationStatus.SETTLED


async def test_the_sweep_leaves_a_waiting_turn_alone_and_wakes_it_where_an_event_was_lost() -> None:
    one = waiting(calls(CLOSE), says("done"))
    made = await ask(one)
    one.orchestrations.running.add(made["id"])
    one.world.clock.advance(3 * DAY)
    await one.world.app.maintenance.run(one.orchestrations)
    assert (await one.http.get(f"/v1/responses/{made['id']}")).json()["status"] == "in_progress"
    board = one.orchestrations.boards.pop(made["id"])
    await decide(one, made, requests_in(made)[0], approve=True)
    one.orchestrations.boards[made["id"]] = board
    await one.world.app.maintenance.run(one.orchestrations)
    assert (await ended(one, made))["status"] == "completed"


@pytest.mark.parametrize("approve", [True, False])
async def test_another_turn_does_not_decide_for_one_that_waits(*, approve: bool) -> None:
    """It would not find the call, and the turn that waits would not be woken."""
    tools = FakeTools()
    one = waiting(calls(CLOSE), says("done"), tools=tools)
    made = await ask(one)
    (request,) = requests_in(made)
    answer = {"type": "mcp_approval_response", "approval_request_id": request, "approve": approve}
    other = await one.create({"model": "auto", "input": [made["output"][-1], answer], "tools": [SHOP]})
    assert code_of(other) == (400, "approval_not_found")
    assert f"POST /v1/responses/{made['id']}/approvals" in other.json()["error"]["message"]
    await decide(one, made, request, approve=approve)
    last = await ended(one, made)
    assert (last["status"], kinds(last)[-1], len(tools.sent)) == ("completed", "message", approve)


async def test_an_approved_call_whose_server_gives_no_list_says_so_and_not_that_its_tool_has_changed() -> None:
    closing = ListedTool(name="close_shop", description="Closes the shop.", schema={"type": "object"})
    tools = FakeTools(listings={"shop": ToolListing(tools=(closing,), fresh_s=10)})
    one = waiting(calls(CLOSE), says("not now"), tools=tools, servers=shop(OVER_MCP))
    made = await ask(one)
    tools.listings.clear()
    await decide(one, made, requests_in(made)[0], approve=True)
    (call,) = [each for each in (await ended(one, made))["output"] if each["type"] == "mcp_call"]
    assert "is not known: The server cannot be reached. The call was not sent." in call["error"]["content"]
    assert tools.sent == []


async def test_the_sweep_ends_a_turn_whose_orchestration_is_gone() -> None:
    one = waiting(calls(CLOSE))
    made = await ask(one)
    one.world.clock.advance(5 * DAY)
    await one.world.app.maintenance.run(one.orchestrations)
    one.world.clock.advance(26 * DAY)
    await one.world.app.maintenance.run(one.orchestrations)
    assert (await one.http.get(f"/v1/responses/{made['id']}")).json()["status"] == "failed"
    await one.world.app.maintenance.run(one.orchestrations)
    assert await status_of_reservation(one, made) is ReservationStatus.SETTLED
    for task in one.orchestrations.tasks:
        task.cancel()


async def test_functions_of_the_caller_are_handed_back_after_the_approvals() -> None:
    function: Any = {"type": "function", "name": "own", "parameters": {"type": "object", "properties": {}}}
    one = waiting(calls(CLOSE, ("own", {})), says("never"))
    made = await ask(one, tools=[SHOP, function])
    await decide(one, made, requests_in(made)[0], approve=True)
    last = await ended(one, made)
    assert last["status"] == "completed"
    assert kinds(last)[-4:] == ["mcp_approval_request", "function_call", "mcp_approval_response", "mcp_call"]


async def test_a_stream_that_is_resumed_has_the_same_events() -> None:
    one = waiting(calls(CLOSE), says("closed"))
    made = await ask(one)
    await decide(one, made, requests_in(made)[0], approve=True)
    await ended(one, made)
    place = f"/v1/responses/{made['id']}?stream=true"
    whole = events_of((await one.http.get(place)).text)
    assert [each["sequence_number"] for each in whole] == list(range(len(whole)))
    answer = [each for each in whole if each.get("item", {}).get("type") == "mcp_approval_response"]
    assert [each["type"] for each in answer] == ["response.output_item.added", "response.output_item.done"]
    after = answer[0]["sequence_number"]
    assert events_of((await one.http.get(f"{place}&starting_after={after}")).text) == whole[after + 1 :]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"background": False}, "background"),
        ({"metadata": {"approval_wait_s": str(30 * DAY + 1)}}, "2592000"),
        ({"metadata": {"approval_wait_s": "soon"}}, "2592000"),
        ({"metadata": {"approval_wait_s": "0"}}, "2592000"),
    ],
)
async def test_a_wait_that_cannot_be_is_rejected(body: Json, words: str) -> None:
    one = waiting()
    usual = {"model": "auto", "input": "?", "background": True, "metadata": {"approval_wait_s": "60"}}
    answer = await one.create({**usual, **body})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "metadata.approval_wait_s")
    assert words in error["message"]


async def test_the_request_of_a_response_that_has_ended_is_answered_by_a_new_one() -> None:
    one = waiting(calls(CLOSE))
    made = (await one.create({"model": "auto", "input": "close", "tools": [SHOP]})).json()
    assert code_of(await decide(one, made, requests_in(made)[0], approve=True)) == (400, "approval_not_found")


async def test_a_turn_with_the_rights_of_its_caller_waits_for_nobody() -> None:
    obo = FILE.replace(
        'url = "http://127.0.0.1:1"\n', 'url = "https://shop.internal"\nauth = "obo"\nscope = "api://shop/.default"\n'
    )
    one = waiting(servers=shop(obo))
    body = {"model": "auto", "input": "?", "background": True, "tools": [SHOP], "metadata": {"approval_wait_s": "60"}}
    error = (await one.create(body)).json()["error"]
    assert error["param"] == "metadata.approval_wait_s"
    assert "caller's rights" in error["message"]
