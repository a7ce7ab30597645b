"""Is a call sent once, and again only where that is safe, whatever became of the run before?"""

import json
from typing import Any

import pytest

from activities.tools.call_task import CallTask
from activities.tools.turn_watch import TurnWatch
from clients.tools.port import CallFailure, ToolError
from domain import wire
from domain.content.items import ItemStatus
from domain.content.tools import FunctionCall
from domain.ids import member_id
from domain.log.answer_events import server_call_events
from domain.log.events import ResponseStatus, Slot
from domain.tools.call_record import MARGIN_S, SEND_WITHIN_S, CallRecord
from domain.tools.catalog import ToolServers
from domain.tools.outcomes import DEADLINE_PASSED, NOT_APPROVED, UNKNOWN, completed
from domain.turns.response import Response
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.tools import FILE, FakeTools, Reply, shop
from tests.fakes.tools import says as answers
from tests.fakes.worlds import OWNER, THREAD, World, backend

ARGUMENTS: dict[str, dict[str, Any]] = {
    "find_order": {"number": "A-1"},
    "refund_order": {"number": "A-1"},
    "send_note": {"text": "hello"},
}
TIMEOUT_S = 10.0


class Calling:
    """A turn whose model has asked for one call."""

    def __init__(
        self,
        tool: str,
        *replies: Reply,
        arguments: str | None = None,
        server: str = "shop",
        clock: FakeClock | None = None,
        servers: ToolServers | None = None,
    ) -> None:
        clock, self.servers = clock or FakeClock(), servers or shop()
        self.tools = FakeTools(replies={tool: list(replies)} if replies else {})
        backends = {"main": (backend("main"), FakeBackend(says("hi")))}
        self.world = World(
            store=MemoryStore(clock), clock=clock, backends=backends, tool_servers=self.servers, tools=self.tools
        )
        text = json.dumps(ARGUMENTS.get(tool, {})) if arguments is None else arguments
        self.call = FunctionCall(name=tool, arguments=text, server=server)
        self.item = member_id("mcp", thread=THREAD, token=clock.token())

    async def asked(self) -> Response:
        """Admit the turn, and write the call into its log as an attempt does."""
        response = await self.world.admit("hi")
        events = server_call_events(0, self.call, item_id=self.item, call_id="call_1", number=1)
        slot = Slot(number=1, writer="infer:1", first=1, at=self.world.clock.now(), events=events)
        assert await self.world.turns.append(OWNER, response.id, slot)
        return response

    async def run(self, response: Response) -> wire.CalledToolWire:
        request = {"tenant": OWNER.tenant, "subject": OWNER.subject, "response": response.id, "traceparent": ""}
        return await self.world.steps[wire.CALL_TOOL]({**request, "call": self.item})

    async def left_behind(self, response: Response) -> CallRecord:
        """Create the record of a run that died right after it."""
        sender, task = self.world.app.activities.call_tool.sender, await self.task(response)
        return await sender.calls.open(OWNER, sender.new_record(task))

    async def task(self, response: Response) -> CallTask:
        server, log = self.servers.known["shop"], await self.world.log(response)
        watch = TurnWatch(self.world.turns, OWNER, response.id, next_slot=log.next_slot)
        arguments, tool = ARGUMENTS[self.call.name], server.tools[self.call.name]
        return CallTask(
            response=response, item=log.items[0], server=server, tool=tool, arguments=arguments, watch=watch
        )

    async def item_of(self, response: Response) -> Any:
        return (await self.world.log(response)).items[0]


@pytest.mark.parametrize("tool", ARGUMENTS)
async def test_a_call_is_sent_recorded_and_shown_in_the_log(tool: str) -> None:
    calling = Calling(tool, answers("fine"))
    response = await calling.asked()
    called = await calling.run(response)
    item = await calling.item_of(response)
    assert (called["outcome"], item.status, item.output, item.error) == ("completed", "completed", "fine", None)
    assert called["added"]["likely"] > 0
    (sent,) = calling.tools.sent
    assert (sent.tool, sent.arguments, sent.key) == (tool, ARGUMENTS[tool], calling.item)


async def test_a_call_that_needs_an_approval_is_not_sent_without_one_whoever_has_planned_it() -> None:
    calling = Calling("close_shop")
    response = await calling.asked()
    assert (await calling.run(response))["outcome"] == "failed"
    assert calling.tools.sent == []
    assert (await calling.item_of(response)).error["content"] == NOT_APPROVED


@pytest.mark.parametrize("tool", ARGUMENTS)
async def test_a_step_that_runs_again_returns_what_the_log_has(tool: str) -> None:
    calling = Calling(tool, answers("fine"))
    response = await calling.asked()
    assert await calling.run(response) == await calling.run(response)
    assert len(calling.tools.sent) == 1


@pytest.mark.parametrize("tool", ["find_order", "refund_order"])
async def test_a_call_that_may_be_repeated_is_sent_again_under_its_key_after_a_crash(tool: str) -> None:
    calling = Calling(tool, answers("fine"))
    response = await calling.asked()
    await calling.left_behind(response)
    assert (await calling.run(response))["outcome"] == "completed"
    assert [sent.key for sent in calling.tools.sent] == [calling.item]
    assert calling.world.clock.slept == []


async def test_a_write_without_a_key_is_never_sent_again_and_its_outcome_is_unknown() -> None:
    calling = Calling("send_note")
    response = await calling.asked()
    record = await calling.left_behind(response)
    called = await calling.run(response)
    item = await calling.item_of(response)
    assert (called["outcome"], item.status, item.error["content"]) == ("incomplete", "incomplete", UNKNOWN)
    assert calling.tools.sent == []
    assert calling.world.clock.now() >= record.started_at + SEND_WITHIN_S + TIMEOUT_S + MARGIN_S
    (stored,) = await calling.world.app.state.tool_calls.of_response(OWNER, response.id)
    assert stored.outcome
    assert stored.outcome.unknown


async def test_an_outcome_that_the_first_run_records_in_time_is_taken() -> None:
    calling = Calling("send_note")
    response = await calling.asked()
    record = await calling.left_behind(response)
    outcome = completed("sent after all")
    calls = calling.world.app.state.tool_calls
    await calls.end(OWNER, record, outcome)
    assert (await calling.run(response))["outcome"] == "completed"
    assert (await calling.item_of(response)).output == "sent after all"
    assert calling.tools.sent == []


async def test_a_run_that_comes_too_late_sends_nothing() -> None:
    calling = Calling("send_note")
    response = await calling.asked()
    sender = calling.world.app.activities.call_tool.sender
    record = await calling.left_behind(response)
    calling.world.clock.advance(SEND_WITHIN_S + 0.1)
    outcome, requests = await sender.send(record, await calling.task(response))
    assert (outcome.status, requests, calling.tools.sent) == (ItemStatus.FAILED, 0, [])


NOT_SENT = ToolError(CallFailure.NOT_SENT, "The call was not sent.")
NO_ANSWER = ToolError(CallFailure.NO_ANSWER, "The server gave no answer.")


@pytest.mark.parametrize(
    ("tool", "reply", "outcome", "error"),
    [
        ("find_order", NOT_SENT, "failed", "mcp_tool_execution_error"),
        ("find_order", NO_ANSWER, "failed", "mcp_tool_execution_error"),
        ("find_order", answers("no such order", 404), "failed", "http_error"),
        ("send_note", NOT_SENT, "failed", "mcp_tool_execution_error"),
        ("send_note", NO_ANSWER, "incomplete", "mcp_tool_execution_error"),
        ("send_note", answers("", 503), "failed", "http_error"),
        ("send_note", answers("", 307), "failed", "http_error"),
    ],
)
async def test_a_failure_is_a_result_and_a_lost_answer_of_a_write_is_unknown(
    tool: str, reply: Reply, outcome: str, error: str
) -> None:
    calling = Calling(tool, reply)
    response = await calling.asked()
    assert (await calling.run(response))["outcome"] == outcome
    assert (await calling.item_of(response)).error["type"] == error
    assert len(calling.tools.sent) == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a JSON object"),
        ("{}", "Number: required"),
        ('{"number": 1}', "Number: expected string"),
        ('{"number": "1", "more": 1}', "More: not an argument"),
        (json.dumps({"number": "x" * 20_000}), "larger than 16384 bytes"),
    ],
)
async def test_wrong_arguments_return_to_the_model_and_reach_no_server(arguments: str, problem: str) -> None:
    calling = Calling("find_order", arguments=arguments)
    response = await calling.asked()
    assert (await calling.run(response))["outcome"] == "failed"
    error = (await calling.item_of(response)).error
    assert (error["type"], error["code"]) == ("mcp_protocol_error", -32602)
    assert problem in error["message"]
    assert calling.tools.sent == []


@pytest.mark.parametrize(("tool", "server"), [("find_order", "bank"), ("burn_down", "shop")])
async def test_a_tool_that_is_no_longer_configured_fails_its_call(tool: str, server: str) -> None:
    calling = Calling(tool, server=server, arguments="{}")
    response = await calling.asked()
    assert (await calling.run(response))["outcome"] == "failed"
    assert calling.tools.sent == []


async def test_a_long_result_is_cut_in_the_middle_with_a_mark() -> None:
    calling = Calling("find_order", answers(f"begin {'lorem ipsum ' * 5000}end"))
    response = await calling.asked()
    await calling.run(response)
    text = (await calling.item_of(response)).output
    assert (text[:5], text[-3:]) == ("begin", "end")
    assert "characters were left out" in text
    assert len(text) <= 4 * 1000


async def test_a_call_of_a_response_that_has_ended_is_not_sent() -> None:
    calling = Calling("send_note")
    response = await calling.asked()
    await calling.world.turns.finish(OWNER, response.id, status=ResponseStatus.CANCELLED)
    assert (await calling.run(response))["outcome"] == "ended"
    assert calling.tools.sent == []
    assert (await calling.item_of(response)).status is ItemStatus.INCOMPLETE


async def test_a_turn_stops_after_an_unknown_outcome_where_the_file_says_so() -> None:
    stopping = shop(FILE.replace('path = "/v1/notes"', 'path = "/v1/notes"\non_unknown = "stop"'))
    calling = Calling("send_note", NO_ANSWER, servers=stopping)
    response = await calling.asked()
    assert (await calling.run(response))["outcome"] == "stopped"
    assert (await calling.run(response))["outcome"] == "stopped"
    assert len(calling.tools.sent) == 1


async def test_a_request_is_bounded_by_the_deadline_of_the_turn() -> None:
    calling = Calling("send_note")
    response = await calling.asked()
    task, sender = await calling.task(response), calling.world.app.activities.call_tool.sender
    calling.world.clock.advance(1800)
    outcome, requests = await sender.send(sender.new_record(task), task)
    assert (outcome.error, requests) == (
        {"type": "mcp_tool_execution_error", "content": DEADLINE_PASSED},
        0,
    )
    assert calling.tools.sent == []
