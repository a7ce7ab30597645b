"""Who reads which cached result of a tool, and until when?"""

from typing import Any

import pytest

from clients.tools.port import CallFailure, ToolError
from tests.api.harness import Api
from tests.api.tools.agents import SHOP, agent, calls
from tests.fakes.backends import says
from tests.fakes.tools import FILE, FakeTools, Reply, shop
from tests.fakes.tools import says as answers

CACHED = FILE.replace('effect = "read"', 'effect = "read"\ncache_s = 60')
SHARED = CACHED.replace("cache_s = 60", 'cache_s = 60\ncache_scope = "tenant"')
LOOKUP = calls(("shop__find_order", {"number": "A-1"}))
REFUND = calls(("shop__refund_order", {"number": "A-1"}))


def caching(text: str, *replies: Reply, rounds: int = 1, script: Any = LOOKUP) -> tuple[Api, FakeTools]:
    tools = FakeTools(replies={"find_order": list(replies)} if replies else {})
    return agent(*[*[script] * rounds, says("done")] * 8, tools=tools, servers=shop(text)), tools


async def ask(one: Api, caller: str = "mine") -> list[str]:
    """Run a turn of a caller and return the results of its calls."""
    body = {"model": "auto", "input": "?", "tools": [SHOP]}
    made = (await one.http.post("/v1/responses", json=body, headers={"authorization": f"Bearer {caller}"})).json()
    assert made["status"] == "completed"
    return [item["output"] for item in made["output"] if item["type"] == "mcp_call"]


async def test_a_result_is_used_again_by_its_owner_until_its_time_is_over() -> None:
    one, tools = caching(CACHED, answers("first"), answers("second"))
    assert [await ask(one), await ask(one)] == [["first"], ["first"]]
    one.world.clock.advance(60)
    assert await ask(one) == ["second"]
    assert len(tools.sent) == 2


@pytest.mark.parametrize(
    ("text", "callers", "requests"),
    [
        (CACHED, ["mine", "curious"], 1),
        (CACHED, ["mine", "strange", "mine", "strange"], 2),
        (CACHED, ["strange", "far"], 2),
        (SHARED, ["mine", "strange"], 1),
        (SHARED, ["strange", "far", "foreign"], 2),
        (FILE, ["mine", "mine"], 2),
    ],
)
async def test_a_result_is_shared_only_as_far_as_the_file_says_and_never_with_another_tenant(
    text: str, callers: list[str], requests: int
) -> None:
    one, tools = caching(text)
    for token in callers:
        await ask(one, token)
    assert len(tools.sent) == requests


async def test_other_arguments_are_another_call() -> None:
    one, tools = caching(CACHED)
    await ask(one)
    _, fake = one.world.backends["main"]
    fake.scripts[2] = calls(("shop__find_order", {"number": "A-2"}))  # type: ignore[attr-defined]
    await ask(one)
    assert [each.arguments for each in tools.sent] == [{"number": "A-1"}, {"number": "A-2"}]


async def test_a_failure_is_not_kept() -> None:
    one, tools = caching(CACHED, ToolError(CallFailure.NO_ANSWER, "No answer."), answers("found"))
    assert [await ask(one), await ask(one)] == [[None], ["found"]]
    assert len(tools.sent) == 2


async def test_a_write_drops_what_is_known_of_its_server() -> None:
    one, tools = caching(CACHED, answers("open"), answers("refunded"))
    await ask(one)
    _, fake = one.world.backends["main"]
    fake.scripts[2] = REFUND  # type: ignore[attr-defined]
    await ask(one)
    assert await ask(one) == ["refunded"]
    assert [each.tool for each in tools.sent] == ["find_order", "refund_order", "find_order"]


async def test_a_turn_that_has_written_reads_anew_whatever_another_process_keeps() -> None:
    one, tools = caching(CACHED, answers("open"), answers("refunded"))
    await ask(one)
    _, fake = one.world.backends["main"]
    fake.scripts[2:5] = [REFUND, LOOKUP, says("done")]  # type: ignore[attr-defined]
    cache = one.world.app.activities.call_tool.sender.cache
    kept = dict(cache.results)
    cache.keep = lambda _task, _outcome: cache.results.update(kept)  # type: ignore[method-assign]
    assert (await ask(one))[-1] == "refunded"
    assert [each.tool for each in tools.sent] == ["find_order", "refund_order", "find_order"]
