"""Does a turn survive thirty days of waiting, with restarts and a new release between?"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import openai
import pytest
from openai.types.webhooks import AgentSessionActionRequiredWebhookEvent

from clients.clock import SystemClock
from clients.orchestrations import turn_wire
from clients.tools.port import ToolConnector
from domain.turns.webhook_events import ACTION_REQUIRED, WebhookDelivery, WebhookEndpoint, WebhookEndpoints
from tests.api.harness import Api
from tests.api.tools.agents import SHOP, agent, calls
from tests.fakes.backends import Act, says
from tests.fakes.clocks import FakeClock
from tests.fakes.orchestration import EventBoard, Run
from tests.fakes.stores import MemoryStore
from tests.fakes.tools import FILE, FakeTools, shop
from tests.fakes.worlds import OWNER

type Json = dict[str, Any]

CLOSE = ("shop__close_shop", dict[str, Any]())
DAY = 86_400
MONTH = FILE + f"\n[limits]\napproval_ttl_s = {30 * DAY}\n"
OTHER_TOOL = """
[servers.shop.tools.open_shop]
description = "Opens the shop."
method = "POST"
path = "/v1/opening"
effect = "write"

"""
ENDPOINTS = WebhookEndpoints(
    known={
        "approvals": WebhookEndpoint(
            name="approvals",
            url="https://hooks.example.com/approvals",
            secrets=(b"s" * 24,),
            events=frozenset(),
            action_events=frozenset({ACTION_REQUIRED}),
        )
    }
)


@dataclass
class Days:
    """One turn over many lives of the app, on one store and one history."""

    file: str = MONTH
    tools: FakeTools = field(default_factory=FakeTools)
    clock: FakeClock = field(default_factory=FakeClock)
    history: list[Any] = field(default_factory=list[Any])
    done: list[str] = field(default_factory=list[str])
    fire_times: dict[int, float] = field(default_factory=dict[int, float])
    times: list[float] = field(default_factory=list[float])
    lives: int = 0
    scripts: Sequence[list[Act]] = (says("done"),)
    made: Json = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.board = EventBoard(self.clock)
        self.one = self.start()

    def start(self, connector: ToolConnector | None = None) -> Api:
        """Start the app anew over the same store; its model has still to do what the scripts say."""
        scripts = self.scripts if self.lives else (calls(CLOSE), *self.scripts)
        self.lives += 1
        servers = shop(self.file)
        options: Json = {"store": self.store, "clock": self.clock, "servers": servers, "endpoints": ENDPOINTS}
        self.one = agent(*scripts, tools=connector or self.tools, **options)
        self.one.orchestrations.hold = True
        if self.made:
            self.one.orchestrations.boards[self.made["id"]] = self.board
            self.one.orchestrations.running.add(self.made["id"])
        return self.one

    async def begin(self) -> Json:
        body: Json = {"model": "auto", "input": "close", "background": True, "tools": [SHOP]}
        body["metadata"] = {"approval_wait_s": str(30 * DAY)}
        self.made = (await self.one.create(body)).json()
        self.times.append(self.clock.now())
        self.one.orchestrations.boards[self.made["id"]] = self.board
        self.one.orchestrations.running.add(self.made["id"])
        return self.made

    async def live(self, then: Callable[[], Awaitable[None]]) -> None:
        """Let the turn run until it waits, do something, and end the process where the turn has not ended."""
        turn = await self.one.world.turns.read(OWNER, self.made["id"])
        begun = len(self.board.waits)
        run = Run(
            clock=self.clock,
            steps=self.one.world.steps,
            done=self.done,
            history=self.history,
            fire_times=self.fire_times,
            times=self.times,
            events=self.board,
        )
        task = asyncio.create_task(run.respond(turn_wire(turn)))
        await asyncio.wait({task, asyncio.create_task(self.board.begun(begun + 1))}, return_when="FIRST_COMPLETED")
        await then()
        for _ in range(50):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def three_days(self) -> None:
        self.clock.advance(3 * DAY)
        self.board.post()
        await self.one.world.app.maintenance.run(self.one.orchestrations)
        await asyncio.sleep(0)

    async def pass_days(self, days: int) -> None:
        """Pass days, with a restart every three of them."""
        for _ in range(days // 3):
            await self.live(self.three_days)
            self.start()

    async def requests(self) -> list[str]:
        return requests_of(await self.response())

    async def decide(self, *, approve: bool, by: str = "mine", number: int = 0) -> int:
        request = (await self.requests())[number]
        body = {"approval_request_id": request, "approve": approve}
        headers = {"authorization": f"Bearer {by}"}
        place = f"/v1/responses/{self.made['id']}/approvals"
        return (await self.one.http.post(place, json=body, headers=headers)).status_code

    async def response(self) -> Json:
        return (await self.one.http.get(f"/v1/responses/{self.made['id']}")).json()

    async def end(self) -> Json:
        return await self.live_until(lambda made: made["status"] != "in_progress")

    async def live_until(self, is_so: Callable[[Json], bool]) -> Json:
        """Let the turn run through some lives until something holds; return the response."""

        async def nothing() -> None:
            await asyncio.sleep(0)

        for _ in range(8):
            await self.live(nothing)
            if is_so(await self.response()):
                break
        return await self.response()


def requests_of(made: Json) -> list[str]:
    return [each["id"] for each in made["output"] if each["type"].endswith("request")]


@pytest.mark.parametrize("approve", [True, False])
async def test_a_turn_is_decided_after_four_weeks_of_restarts(*, approve: bool) -> None:
    days = Days()
    await days.begin()
    await days.pass_days(27)
    assert (await days.response())["status"] == "in_progress"
    assert await days.decide(approve=approve) == 200
    days.start()
    last = await days.end()
    assert (last["status"], last["output"][-1]["type"]) == ("completed", "message")
    assert len(days.tools.sent) == approve
    assert days.done.count("ask_approvals") == (3 if approve else 2)


async def test_a_decision_is_final_over_restarts_and_nobody_else_makes_it() -> None:
    days = Days()
    await days.begin()
    await days.pass_days(12)
    assert [await days.decide(approve=True, by=other) for other in ("strange", "far")] == [404, 404]
    assert await days.decide(approve=True) == 200
    days.start()
    assert [await days.decide(approve=each) for each in (True, False)] == [200, 400]
    last = await days.end()
    assert (last["status"], [each.tool for each in days.tools.sent]) == ("completed", ["close_shop"])
    assert [await days.decide(approve=each) for each in (True, False)] == [200, 400]
    assert len(days.tools.sent) == 1


async def test_of_two_decisions_at_once_after_weeks_one_is_carried_out() -> None:
    days = Days()
    await days.begin()
    await days.pass_days(21)
    codes = await asyncio.gather(*(days.decide(approve=each) for each in (True, False)))
    assert sorted(codes) == [200, 400]
    days.start()
    last = await days.end()
    assert (last["status"], len(days.tools.sent)) == ("completed", int(codes[0] == 200))


async def test_after_thirty_days_without_an_answer_the_call_is_denied() -> None:
    days = Days()
    await days.begin()
    await days.pass_days(30)
    last = await days.end()
    assert last["status"] == "completed"
    (shown,) = [each for each in last["output"] if each["type"] == "mcp_approval_response"]
    assert (shown["approve"], days.tools.sent) == (False, [])
    assert await days.decide(approve=True) == 400


@pytest.mark.parametrize("approve", [True, False])
async def test_an_early_answer_never_answers_a_later_request(*, approve: bool) -> None:
    """The second request is for the same call, and the first answer is given once more while it waits."""
    days = Days(scripts=(calls(CLOSE), says("done")))
    await days.begin()
    await days.pass_days(9)
    assert await days.decide(approve=True) == 200
    days.start()
    await days.live_until(lambda made: len(requests_of(made)) > 1)
    assert (len(await days.requests()), len(days.tools.sent)) == (2, 1)
    days.scripts = (says("done"),)
    days.start()
    assert await days.decide(approve=True) == 200
    await days.pass_days(9)
    assert ((await days.response())["status"], len(days.tools.sent)) == ("in_progress", 1)
    assert await days.decide(approve=approve, number=1) == 200
    last = await days.end()
    assert (last["status"], len(days.tools.sent)) == ("completed", 1 + approve)
    shown = [each["approve"] for each in last["output"] if each["type"] == "mcp_approval_response"]
    assert shown == [True, approve]


async def test_a_new_release_that_leaves_the_tool_as_it_was_runs_the_approved_call() -> None:
    days = Days()
    await days.begin()
    await days.pass_days(15)
    days.file = MONTH.replace("[servers.shop.tools.find_order]", OTHER_TOOL + "[servers.shop.tools.find_order]")
    assert days.file != MONTH
    days.start()
    await days.pass_days(12)
    assert await days.decide(approve=True) == 200
    last = await days.end()
    assert (last["status"], [each.tool for each in days.tools.sent]) == ("completed", ["close_shop"])


async def test_a_tool_that_a_new_release_calls_elsewhere_is_not_called_with_an_old_approval() -> None:
    days = Days()
    await days.begin()
    await days.pass_days(3)
    days.file = MONTH.replace('path = "/v1/closing"', 'path = "/v1/opening"')
    days.start()
    assert await days.decide(approve=True) == 200
    last = await days.end()
    (call,) = [each for each in last["output"] if each["type"] == "mcp_call"]
    assert (call["status"], days.tools.sent) == ("failed", [])
    assert "has changed" in call["error"]["content"]


async def test_nobody_decides_for_a_turn_that_was_deleted_meanwhile() -> None:
    days = Days()
    await days.begin()
    await days.pass_days(3)
    request = (await days.response())["output"][-1]["id"]
    assert (await days.one.http.delete(f"/v1/responses/{days.made['id']}")).status_code == 200
    body = {"approval_request_id": request, "approve": True}
    answer = await days.one.http.post(f"/v1/responses/{days.made['id']}/approvals", json=body)
    assert (answer.status_code, days.tools.sent) == (404, [])


async def test_the_sdk_knows_the_webhook_of_a_request() -> None:
    days = Days()
    await days.begin()
    await days.live(days.three_days)
    (delivery,) = await days.one.world.app.state.webhook_outbox.overdue(before=days.clock.now())
    assert isinstance(delivery, WebhookDelivery)
    headers = delivery.headers((b"s" * 24,), now=SystemClock().now())
    told = openai.AsyncOpenAI(api_key="none").webhooks.unwrap(
        delivery.body, headers, secret="whsec_" + "c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nz"
    )
    assert isinstance(told, AgentSessionActionRequiredWebhookEvent)
    assert (told.data.id, told.data.required_action.type) == (days.made["id"], "mcp_approval_request")
