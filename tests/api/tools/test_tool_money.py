"""What does a turn pay for tools, and does it stay within its budgets over all rounds?"""

from decimal import Decimal
from typing import Any

import pytest
from openai.types.responses.response_output_item import McpCall

from clients.tools.port import CallFailure, ToolError
from domain.log.events import TokenUsage
from domain.money.budgets import Budgets, BudgetScope
from tests.api.harness import Api
from tests.api.test_sdk import sdk
from tests.api.tools.agents import SHOP, InsistentModel, agent, calls, sent
from tests.fakes.backends import says
from tests.fakes.tools import FILE, FakeTools, Reply, shop
from tests.fakes.tools import says as answers
from tests.fakes.worlds import OWNER

pytestmark = pytest.mark.slow

PRICED = FILE.replace('effect = "read"', 'effect = "read"\nprice = "0.01"\ntries = 3')
LOOKUPS = [calls(("shop__find_order", {"number": f"A-{number}"})) for number in range(40)]


def within(limit: str) -> Budgets:
    return Budgets(limits={BudgetScope.RESPONSE: Decimal(limit)})


async def report(one: Api, response_id: str) -> dict[str, Any]:
    return (await one.http.get(f"/v1/responses/{response_id}/route")).json()


async def taken(one: Api, response_id: str) -> Decimal:
    (budget,) = (await report(one, response_id))["budgets"]
    return Decimal(budget["taken_usd"])


@pytest.mark.parametrize(
    ("replies", "cost"),
    [
        ([answers("found")], "0.01"),
        ([answers("busy", 503), answers("found")], "0.02"),
        ([ToolError(CallFailure.NOT_SENT, "Not sent.")], "0"),
        ([ToolError(CallFailure.NOT_SENT, "Not sent."), answers("found")], "0.01"),
        ([ToolError(CallFailure.NO_ANSWER, "No answer.")], "0.03"),
    ],
)
async def test_a_call_costs_its_price_for_each_request_that_may_have_arrived(replies: list[Reply], cost: str) -> None:
    tools = FakeTools(replies={"find_order": replies})
    one = agent(LOOKUPS[0], says("done"), tools=tools, servers=shop(PRICED), budgets=within("1"))
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="?", tools=[SHOP])
    shown = await report(one, made.id)
    (call,) = shown["calls"]
    bill = shown["bill"]
    assert (Decimal(call["cost_usd"]), Decimal(bill["tools_usd"])) == (Decimal(cost), Decimal(cost))
    assert bill["status"] == "final"
    assert Decimal(bill["total_usd"]) == Decimal(bill["tools_usd"]) + Decimal(bill["tokens_usd"])
    assert await taken(one, made.id) == Decimal(bill["total_usd"])
    usage = (await one.http.get("/v1/usage?group_by=backend")).json()
    of_tools = [row for row in usage["data"] if row["backend"] == "tool:shop"]
    assert sum(Decimal(row["cost_usd"]) for row in of_tools) == Decimal(cost)
    assert not (await one.world.turns.read(OWNER, made.id)).options.metadata


@pytest.mark.parametrize("limit", ["0.006", "0.01", "0.02"])
async def test_a_budget_for_one_response_covers_all_rounds_and_leaves_one_to_answer(limit: str) -> None:
    model = InsistentModel(usage=TokenUsage(input_tokens=300, output_tokens=200))
    one = agent(main=model, servers=shop("[limits]\nmax_rounds = 64\n" + FILE), budgets=within(limit))
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="?", tools=[SHOP])
    assert (made.status, made.output_text) == ("completed", "what I know")
    assert (made.metadata or {})["ganglion_ending"] == "budget"
    assert len(model.calls) >= 2
    assert await taken(one, made.id) <= Decimal(limit)


async def test_a_call_that_no_budget_covers_is_not_sent_and_the_next_round_answers() -> None:
    tools = FakeTools()
    one = agent(LOOKUPS[0], says("what I know"), tools=tools, servers=shop(PRICED), budgets=within("0.02"))
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="?", tools=[SHOP])
    assert (made.status, made.output_text) == ("completed", "what I know")
    assert (made.metadata or {})["ganglion_ending"] == "budget"
    call = made.output[1]
    assert isinstance(call, McpCall)
    assert (call.status, tools.sent) == ("failed", [])
    assert "not covered by a budget" in str(call.error)
    assert "tools" not in sent(one)
    assert await taken(one, made.id) < Decimal("0.001")


async def test_a_turn_whose_budget_leaves_one_round_answers_without_tools() -> None:
    one = agent(says("what I know"), budgets=within("0.0022"))
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="?", tools=[SHOP])
    assert (made.status, made.output_text) == ("completed", "what I know")
    assert (made.metadata or {})["ganglion_ending"] == "budget"
    assert "tools" not in sent(one)
