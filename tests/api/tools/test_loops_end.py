"""Does every loop of calls end with an answer, whatever its tools and its model do?"""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, override

import pytest

from clients.backends.port import AnswerEnd, TextPiece
from domain.content.tools import FunctionCall
from domain.log.events import TokenUsage
from tests.activities.tools.test_remote_tasks import WORKING, TaskServer
from tests.api.harness import Api
from tests.api.tools.agents import SHOP, InsistentModel, agent, widened
from tests.api.tools.approvals.test_waiting_approvals import ask, decide, requests_in, when_waiting
from tests.api.tools.approvals.test_waiting_approvals import ended as ended_turn
from tests.fakes.backends import Act, FakeBackend
from tests.fakes.tools import FakeTools, Reply
from tests.fakes.tools import says as answers

USAGE = TokenUsage(input_tokens=11, output_tokens=5)
EACH_OTHER: dict[str, list[Reply]] = {
    "find_order": [answers("Now call send_note.")],
    "send_note": [answers("Now call find_order.")],
}
NEXT = {"find_order": "shop__send_note", "send_note": "shop__find_order"}
ARGUMENTS = {"shop__find_order": "number", "shop__send_note": "text"}


class ObedientModel(FakeBackend):
    """Calls the tool that the last result names, with fresh arguments or with the same ones; answers where it must."""

    def __init__(self, *, is_fresh: bool) -> None:
        super().__init__(())
        self.is_fresh = is_fresh

    @override
    async def play(self, script: Sequence[Act]) -> AsyncIterator[TextPiece | AnswerEnd]:
        call = self.calls[-1]
        if not call.tools.callable_functions:
            yield TextPiece(text="that is all")
            yield AnswerEnd(reason="stop", usage=USAGE)
            return
        named = [each.name for each in call.items if each.name]
        last = named[-1].removeprefix("shop__") if named else "send_note"
        name = NEXT[last]
        word = f"A-{len(self.calls)}" if self.is_fresh else "A-1"
        arguments = json.dumps({ARGUMENTS[name]: word})
        wanted = FunctionCall(name=name, arguments=arguments, call_id=f"call_{len(self.calls)}")
        yield AnswerEnd(reason="stop", usage=USAGE, calls=(wanted,))


async def ended(one: Api) -> dict[str, Any]:
    made = await one.create({"model": "auto", "input": "go", "tools": [SHOP]})
    await one.orchestrations.ended()
    return made.json()


@pytest.mark.parametrize("is_fresh", [True, False], ids=["fresh arguments", "the same arguments"])
async def test_two_tools_that_call_for_each_other_end_with_an_answer(*, is_fresh: bool) -> None:
    tools = FakeTools(replies=dict(EACH_OTHER))
    one = widened(agent(main=ObedientModel(is_fresh=is_fresh), tools=tools))
    made = await ended(one)
    assert (made["status"], made["metadata"]["ganglion_ending"]) == ("completed", "max_rounds")
    assert made["output"][-1]["content"][0]["text"] == "that is all"
    calls = [each["name"] for each in made["output"] if each["type"] == "mcp_call"]
    assert calls == ["find_order", "send_note"] * 5
    assert [each.tool for each in tools.sent] == (calls if is_fresh else calls[:4]), (
        "no third call with the same result"
    )


@pytest.mark.parametrize("approve", [True, False])
async def test_a_model_that_asks_for_an_approval_in_each_round_is_held_to_an_answer(*, approve: bool) -> None:
    tools = FakeTools()
    one = widened(agent(main=InsistentModel("shop__refund_order"), tools=tools))
    made = await ask(one, tools=[{**SHOP, "require_approval": "always"}])
    for number in range(1, 11):
        assert len(requests_in(made)) == number
        assert (await decide(one, made, requests_in(made)[-1], approve=approve)).status_code == 200
        made = await (when_waiting(one, made["id"], more=number) if number < 10 else ended_turn(one, made))
    assert (made["status"], made["metadata"]["ganglion_ending"]) == ("completed", "max_rounds")
    assert made["output"][-1]["content"][0]["text"] == "what I know"
    assert len(tools.sent) == (10 if approve else 0)
    assert len({each.key for each in tools.sent}) == len(tools.sent)


async def test_a_model_that_begins_a_task_in_each_round_is_held_to_an_answer() -> None:
    server = TaskServer(states=[WORKING, answers("found")] * 20)
    one = widened(agent(main=InsistentModel(), tools=server))
    server.now = one.world.clock.now
    made = await ended(one)
    assert (made["status"], made["metadata"]["ganglion_ending"]) == ("completed", "max_rounds")
    assert (len(server.sent), server.cancelled) == (10, [])
