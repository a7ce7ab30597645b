"""Does a call that its server runs as a task have its effect once, and end with the task's result?"""

import contextlib
from collections.abc import Awaitable, Callable
from copy import replace
from dataclasses import dataclass, field
from typing import Any, override

import pytest

from clients.tools.port import (
    AnsweredBy,
    CallFailure,
    TaskStatus,
    ToolAnswer,
    ToolError,
    ToolRequest,
    ToolTask,
)
from domain.tools.call_record import STEP_LOOKS_S
from domain.tools.catalog import ToolServers
from domain.tools.outcomes import TASK_ASKED, TASK_CANCELLED, TASK_LATE, TASK_LOST, UNKNOWN
from tests.api.harness import Api
from tests.api.tools.agents import SHOP, agent, calls, sent
from tests.fakes.backends import says
from tests.fakes.tools import FakeTools
from tests.fakes.tools import says as answers
from tests.fakes.worlds import OWNER

FIND = ("shop__find_order", {"number": "A-1"})
NOTE = ("shop__send_note", {"text": "hello"})
REFUND = ("shop__refund_order", {"number": "A-1"})
POLL_S = 5.0
LOOKS_OF_THE_STEP = 4
WORKING = ToolAnswer(status=200, text="", task=ToolTask(id="t1", poll_s=POLL_S))
DOWN = ToolError(CallFailure.NO_ANSWER, "The server did not answer.")
ASKED_BACK = TaskStatus.INPUT_REQUIRED


def ended(status: TaskStatus) -> ToolAnswer:
    return ToolAnswer(status=200, text="", task=ToolTask(id="t1", status=status))


@dataclass(slots=True)
class TaskServer(FakeTools):
    """Runs every call as a task. Each look at one gets the next of its `states`, the last one again and again."""

    ttl_s: float | None = None
    states: list[ToolAnswer | Exception] = field(default_factory=list[ToolAnswer | Exception])
    looks: list[float] = field(default_factory=list[float])
    cancelled: list[str] = field(default_factory=list[str])
    now: Callable[[], float] = lambda: 0.0

    @override
    async def call(self, request: ToolRequest) -> ToolAnswer:
        if not request.task:
            await FakeTools.call(self, request)
            return ToolAnswer(
                status=200, text="", task=ToolTask(id=f"t{len(self.sent)}", poll_s=POLL_S, ttl_s=self.ttl_s)
            )
        if request.cancels:
            self.cancelled.append(request.task)
            return ended(TaskStatus.CANCELLED)
        self.looks.append(self.now())
        await self.look()
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, Exception):
            raise state
        return state

    async def look(self) -> None:
        """Do what happens at a look."""


def updated(one: Api, change: Callable[[ToolServers], ToolServers]) -> Callable[[], Awaitable[None]]:
    """Return what changes the file of tools, as an update of the service does."""

    async def update() -> None:
        step = one.world.app.activities.call_tool
        step.servers = change(step.servers)

    return update


def serving(server: TaskServer, *named: tuple[str, dict[str, Any]]) -> Api:
    one = agent(calls(*named), says("so it is"), tools=server)
    server.now = one.world.clock.now
    return one


async def outcome(one: Api, **more: Any) -> dict[str, Any]:
    """Return the items of a turn that has ended, by their types."""
    begun = (await one.create({"model": "auto", "input": "go", "tools": [SHOP], "background": True, **more})).json()
    await one.orchestrations.ended()
    made = (await one.http.get(f"/v1/responses/{begun['id']}")).json()
    return {item["type"]: item for item in made["output"]} | {"status": made["status"], "id": made["id"]}


async def test_the_result_of_a_task_is_the_result_of_its_call() -> None:
    server = TaskServer(states=[WORKING, DOWN, WORKING, answers("found A-1")])
    one = serving(server, FIND)
    began = one.world.clock.now()
    made = await outcome(one)
    call = made["mcp_call"]
    assert (made["status"], call["status"], call["output"]) == ("completed", "completed", "found A-1")
    assert "found A-1" in sent(one)["messages"][-1]["content"]
    assert (len(server.sent), len(server.looks), server.cancelled) == (1, 4, [])
    assert server.looks[0] >= began + POLL_S
    assert min(later - earlier for earlier, later in zip(server.looks, server.looks[1:], strict=False)) >= POLL_S
    record = await one.world.app.state.tool_calls.of_response(OWNER, made["id"])
    assert [(each.task.id if each.task else "", each.tries) for each in record] == [("t1", 1)]


@pytest.mark.parametrize(
    ("state", "problem", "cancels"),
    [
        (ended(TaskStatus.CANCELLED), TASK_CANCELLED, False),
        (ended(TaskStatus.LOST), TASK_LOST, False),
        (ended(ASKED_BACK), TASK_ASKED, True),
        (WORKING, TASK_LATE, True),
        (DOWN, TASK_LATE, True),
    ],
)
@pytest.mark.parametrize("named", [FIND, REFUND, NOTE])
async def test_a_task_without_a_result_leaves_a_write_without_key_unknown(
    state: ToolAnswer | Exception, problem: str, *, cancels: bool, named: tuple[str, dict[str, Any]]
) -> None:
    server = TaskServer(states=[WORKING, state], ttl_s=900.0)
    made = await outcome(serving(server, named))
    call = made["mcp_call"]
    is_unknown = named is NOTE
    assert call["status"] == ("incomplete" if is_unknown else "failed")
    assert call["error"] == {"type": "mcp_tool_execution_error", "content": UNKNOWN if is_unknown else problem}
    assert (len(server.sent), server.cancelled) == (1, ["t1"] if cancels else [])
    assert made["status"] == "completed"


async def test_a_task_that_fails_is_a_call_that_failed() -> None:
    refused = ToolAnswer(status=-32000, text="no such order", by=AnsweredBy.PROTOCOL)
    made = await outcome(serving(TaskServer(states=[refused]), NOTE))
    assert made["mcp_call"]["error"] == {"type": "mcp_protocol_error", "code": -32000, "message": "no such order"}


async def test_calls_of_a_round_that_run_as_tasks_end_one_after_the_other() -> None:
    server = TaskServer(states=[WORKING, WORKING, answers("first"), answers("second")])
    one = serving(server, FIND, NOTE)
    made = (await one.create({"model": "auto", "input": "go", "tools": [SHOP]})).json()
    assert sorted(item["output"] for item in made["output"] if item["type"] == "mcp_call") == ["first", "second"]
    assert [call.tool for call in server.sent] == ["find_order", "send_note"]


async def test_a_task_is_looked_at_less_and_less_often() -> None:
    """Each look after the first seconds is a step of the history: an hour takes 14 of them, a day some 40."""
    server = TaskServer(states=[WORKING])
    one = serving(server, FIND)
    made = await outcome(one, metadata={"deadline_ms": "86400000"})
    assert made["mcp_call"]["error"]["content"] == TASK_LATE
    in_step = [each for each in server.looks if each <= server.looks[0] + STEP_LOOKS_S - POLL_S]
    hour = [each for each in server.looks if each <= server.looks[0] + 3600]
    assert (len(in_step), len(hour) - len(in_step)) == (LOOKS_OF_THE_STEP, 14)
    assert len(server.looks) - len(in_step) <= 41


async def test_a_task_of_some_seconds_needs_no_timer() -> None:
    server = TaskServer(states=[WORKING, WORKING, answers("found A-1")])
    one = serving(server, FIND)
    made = await outcome(one)
    assert made["mcp_call"]["output"] == "found A-1"
    [run] = [each.result() for each in one.orchestrations.tasks]
    assert [each for each in run.done if "call_tool" in each] == ["try_call_tool"]


@dataclass(slots=True)
class Interrupted(TaskServer):
    """Something happens at one look, the first unless `at` says otherwise."""

    at: int = 1
    happens: Callable[[], Any] = lambda: None

    @override
    async def look(self) -> None:
        if len(self.looks) == self.at:
            await self.happens()


@pytest.mark.parametrize("at", [1, LOOKS_OF_THE_STEP + 1])
@pytest.mark.parametrize("named", [FIND, NOTE])
@pytest.mark.parametrize("has_ended", [True, False])
async def test_a_cancelled_turn_cancels_the_task(
    named: tuple[str, dict[str, Any]], *, at: int, has_ended: bool
) -> None:
    """A task that had ended before has its result recorded; of another one it is unknown whether it wrote."""
    last = answers("done") if has_ended else ended(TaskStatus.CANCELLED)
    server = Interrupted(states=[*[WORKING] * at, last], at=at)
    one = serving(server, named)

    async def cancel() -> None:
        [turn] = one.orchestrations.started
        assert (await one.http.post(f"/v1/responses/{turn}/cancel")).json()["status"] == "cancelled"

    server.happens = cancel
    made = await outcome(one)
    [record] = await one.world.app.state.tool_calls.of_response(OWNER, made["id"])
    assert server.cancelled == ["t1"]
    assert record.outcome
    assert record.outcome.output == ("done" if has_ended else None)
    assert record.outcome.unknown == (named is NOTE and not has_ended)


@pytest.mark.parametrize("way", ["cancel", "delete"])
async def test_a_turn_that_ends_during_a_look_cancels_its_task_without_the_event_that_wakes_it(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Durable SDK gives an event that comes during a step to an earlier wait, or loses it with the history."""
    server = Interrupted(states=[WORKING], at=LOOKS_OF_THE_STEP + 1)
    one = serving(server, FIND)

    async def lost(_response_id: str) -> None:
        return None

    async def end() -> None:
        monkeypatch.setattr(one.orchestrations, "signal_cancelled", lost)
        place = f"/v1/responses/{one.orchestrations.started[0]}"
        ending = one.http.post(f"{place}/cancel") if way == "cancel" else one.http.delete(place)
        assert (await ending).status_code == 200

    server.happens = end
    await one.create({"model": "auto", "input": "go", "tools": [SHOP], "background": True})
    with contextlib.nullcontext() if way == "cancel" else pytest.raises(Exception, match="not found"):
        await one.orchestrations.ended()
    assert server.cancelled == ["t1"]
    assert server.looks[-1] == server.looks[LOOKS_OF_THE_STEP]


@pytest.mark.parametrize("named", [FIND, NOTE])
async def test_a_task_goes_on_where_its_call_could_not_be_sent_any_more(named: tuple[str, dict[str, Any]]) -> None:
    server = Interrupted(states=[WORKING, answers("done")])
    one = serving(server, named)
    server.happens = updated(one, lambda servers: replace(servers, limits=replace(servers.limits, argument_bytes=1)))
    made = await outcome(one)
    assert (made["mcp_call"]["output"], len(server.sent), len(server.looks)) == ("done", 1, 2)


@pytest.mark.parametrize("named", [FIND, NOTE])
async def test_a_call_whose_tool_is_gone_while_its_task_runs_is_not_said_to_be_unsent(
    named: tuple[str, dict[str, Any]],
) -> None:
    """Of a tool that is gone nobody knows whether it writes."""
    server = Interrupted(states=[WORKING])
    one = serving(server, named)
    server.happens = updated(one, lambda servers: replace(servers, known={}))
    made = await outcome(one)
    assert (made["mcp_call"]["error"]["content"], len(server.sent)) == (UNKNOWN, 1)
    [record] = await one.world.app.state.tool_calls.of_response(OWNER, made["id"])
    assert record.outcome
    assert record.outcome.unknown


async def test_a_step_that_fails_looks_again_and_calls_nothing_again() -> None:
    server = Interrupted(states=[*[WORKING] * LOOKS_OF_THE_STEP, answers("done")], at=LOOKS_OF_THE_STEP + 1)

    async def crash() -> None:
        raise RuntimeError("the process is gone")

    server.happens = crash
    made = await outcome(serving(server, NOTE))
    assert (made["mcp_call"]["output"], len(server.sent)) == ("done", 1)


CLOSE = ("shop__close_shop", dict[str, Any]())


@pytest.mark.parametrize("at", [1, LOOKS_OF_THE_STEP + 1])
@pytest.mark.parametrize("way", ["delete", "answer"])
async def test_a_turn_that_was_deleted_cancels_the_task_of_a_call_that_another_one_has_asked_for(
    at: int, way: str
) -> None:
    """The record of an approved call is beside the turn that has asked for it."""
    server = Interrupted(states=[*[WORKING] * at, answers("closed")], at=at)
    one = serving(server, CLOSE)
    asked = await outcome(one)
    given = {"type": "mcp_approval_response", "approval_request_id": asked["mcp_approval_request"]["id"]}

    async def delete() -> None:
        if way == "delete":
            turn = one.orchestrations.started[-1]
            assert (await one.http.delete(f"/v1/responses/{turn}")).status_code == 200

    server.happens = delete
    body = {"input": [{**given, "approve": True}], "previous_response_id": asked["id"]}
    if way == "answer":
        assert (await outcome(one, **body))["mcp_call"]["output"] == "closed"
    else:
        with pytest.raises(Exception, match="not found"):
            await outcome(one, **body)
    state, (first, second) = one.world.app.state.tool_calls, one.orchestrations.started
    assert server.cancelled == (["t1"] if way == "delete" else [])
    assert await state.documents(OWNER, second) == []
    assert [each.task.id for each in await state.of_response(OWNER, first) if each.task] == ["t1"]


@pytest.mark.parametrize("at", [1, LOOKS_OF_THE_STEP + 1])
async def test_the_task_of_an_approved_call_is_cancelled_where_the_turn_that_asked_is_deleted(at: int) -> None:
    server = Interrupted(states=[WORKING], at=at)
    one = serving(server, CLOSE)
    asked = await outcome(one)

    async def delete() -> None:
        assert (await one.http.delete(f"/v1/responses/{asked['id']}")).status_code == 200

    server.happens = delete
    given = {"type": "mcp_approval_response", "approval_request_id": asked["mcp_approval_request"]["id"]}
    made = await outcome(one, input=[{**given, "approve": True}], previous_response_id=asked["id"])
    assert made["mcp_call"]["status"] == "incomplete"
    assert server.cancelled == ["t1"]
    assert await one.world.app.state.tool_calls.documents(OWNER, one.orchestrations.started[-1]) == []


@pytest.mark.parametrize("place", ["/v1/responses/{}", "/v1/owners/me"])
@pytest.mark.parametrize("at", [1, LOOKS_OF_THE_STEP + 1])
async def test_a_deleted_turn_cancels_its_task_and_leaves_no_record_of_it(at: int, place: str) -> None:
    server = Interrupted(states=[WORKING], at=at)
    one = serving(server, FIND)

    async def delete() -> None:
        [turn] = one.orchestrations.started
        assert (await one.http.delete(place.format(turn))).status_code == 200

    server.happens = delete
    with pytest.raises(Exception, match="not found"):
        await outcome(one)
    [turn] = one.orchestrations.started
    assert server.cancelled == ["t1"]
    assert await one.world.app.state.tool_calls.documents(OWNER, turn) == []
