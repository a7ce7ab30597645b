"""What do spans and metrics tell of a turn that calls tools?"""

import asyncio
from typing import Any

import pytest
from openai.types.responses import Response
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from clients.tools.port import CallFailure, ToolError
from telemetry import names
from tests.api.harness import Api
from tests.api.test_sdk import sdk
from tests.api.tools.agents import SHOP, agent, calls
from tests.fakes.backends import says
from tests.fakes.tools import FakeTools, Reply
from tests.fakes.tools import says as answers
from tests.telemetry.measuring import points, total

CLOSE = ("shop__close_shop", dict[str, Any]())
SECRET = "XYZZY"
LOST = ToolError(CallFailure.NO_ANSWER, "The server gave no answer.")


async def agent_turn(tool: str = "find_order", reply: Reply | None = None, rounds: int = 1) -> Response:
    """Run a turn that calls a tool in so many rounds and then answers."""
    given = {"text": SECRET} if tool == "send_note" else {"number": SECRET}
    tools = FakeTools(replies={tool: [reply or answers(SECRET)]})
    one = agent(*[calls((f"shop__{tool}", given))] * rounds, says("on its way"), tools=tools)
    async with sdk(one) as client:
        return await client.responses.create(model="auto", input="where is my order?", tools=[SHOP])


DECISIONS = ("approved", "denied", "expired")


@pytest.mark.parametrize(
    ("in_place", "approve", "decision"),
    [
        (True, True, "approved"),
        (True, False, "denied"),
        (True, None, "expired"),
        (False, True, "approved"),
        (False, False, "denied"),
    ],
)
async def test_a_decision_is_counted_once(
    measured: InMemoryMetricReader, *, in_place: bool, approve: bool | None, decision: str
) -> None:
    def counted() -> list[float]:
        told = {names.TOOL_SERVER: "shop", names.TOOL_NAME: "close_shop"}
        return [total(measured, names.TOOL_DECISIONS, **told, **{names.TOOL_DECISION: each}) for each in DECISIONS]

    before, one = counted(), agent(calls(CLOSE), says("so be it"), says("again"))
    await (decided_in_place if in_place else decided_afterwards)(one, approve=approve)
    added = [after - was for after, was in zip(counted(), before, strict=True)]
    assert added == [each == decision for each in DECISIONS]


async def decided_in_place(one: Api, *, approve: bool | None) -> None:
    """Decide twice in the same way, or let the time of the request pass."""
    body = {"model": "auto", "input": "close", "tools": [SHOP], "background": True}
    made = (await one.create({**body, "metadata": {"approval_wait_s": "864000"}})).json()
    await one.orchestrations.boards[made["id"]].begun(1)
    output = (await one.http.get(f"/v1/responses/{made['id']}")).json()["output"]
    answer = {"approval_request_id": output[-1]["id"], "approve": approve}
    for _ in range(2 if approve is not None else 0):
        await one.http.post(f"/v1/responses/{made['id']}/approvals", json=answer)
    if approve is None:
        await pass_week(one, made["id"])
    await one.orchestrations.ended()


async def pass_week(one: Api, response_id: str) -> None:
    for _ in range(2):
        one.world.clock.advance(4 * 86_400)
        one.orchestrations.boards[response_id].post()
        await asyncio.sleep(0)


async def decided_afterwards(one: Api, *, approve: bool | None) -> None:
    made = (await one.create({"model": "auto", "input": "close", "tools": [SHOP]})).json()
    answer = {"type": "mcp_approval_response", "approval_request_id": made["output"][-1]["id"], "approve": approve}
    for _ in range(2):
        again = {"model": "auto", "input": [answer], "previous_response_id": made["id"], "tools": [SHOP]}
        assert (await one.create(again)).status_code == 200


async def test_each_call_of_the_model_counts_its_own_tokens(
    spans: InMemorySpanExporter, measured: InMemoryMetricReader
) -> None:
    before = total(measured, names.CALL_INPUT_TOKENS)
    made = await agent_turn(rounds=2)
    found = [span for span in spans.get_finished_spans() if span.name == "chat model"]
    assert not any(span.status.status_code is StatusCode.ERROR for span in found), "to call a tool is no failure"
    told = [span.attributes or {} for span in found]
    assert [each[names.INPUT_TOKENS] for each in told] == [11, 11, 7]
    assert made.usage
    assert made.usage.input_tokens == 11 + 11 + 7
    assert total(measured, names.CALL_INPUT_TOKENS) - before == 11 + 11 + 7


@pytest.mark.parametrize(
    ("tool", "reply", "outcome", "error"),
    [
        ("find_order", answers("fine"), "completed", None),
        ("find_order", answers("no such order", 404), "failed", "404"),
        ("find_order", LOST, "failed", "mcp_tool_execution_error"),
        ("send_note", LOST, "unknown", "unknown"),
    ],
)
async def test_a_call_of_a_tool_is_a_span_of_the_turn_and_is_counted_by_its_outcome(  # noqa: PLR0917 - fixtures and what is given
    spans: InMemorySpanExporter,
    measured: InMemoryMetricReader,
    tool: str,
    reply: Reply,
    outcome: str,
    error: str | None,
) -> None:
    def counted() -> float:
        told = [each for each in points(measured, names.TOOL_DURATION) if each.told[names.TOOL_NAME] == tool]
        return sum(each.count for each in told if each.told[names.TOOL_OUTCOME] == outcome)

    before = counted()
    made = await agent_turn(tool, reply)
    found = {each.context.span_id: each for each in spans.get_finished_spans() if each.context}
    (span,) = [each for each in found.values() if each.name == f"execute_tool {tool}"]
    attributes = dict(span.attributes or {})
    assert (attributes[names.TOOL_OUTCOME], attributes.get(names.ERROR_TYPE)) == (outcome, error)
    assert (span.status.status_code is StatusCode.ERROR) == (error is not None)
    assert attributes[names.TOOL_SERVER] == "shop"
    assert attributes[names.TOOL_CALL_ID] == made.output[1].id
    assert counted() == before + 1
    told = [each.to_json() for each in found.values()]
    assert not any(SECRET in each for each in [*told, str(measured.get_metrics_data())])
