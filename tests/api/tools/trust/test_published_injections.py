"""Do the attacks of a published corpus make a turn do what the file does not allow, though its model obeys them?

The texts are those of AgentDojo (published/agentdojo.json, MIT licence beside it): each goal of an attacker in each of
its wordings. The model is the worst one: it calls every tool that it was offered, and the attacker's own ones too.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from clients.tools.http_tool import path_of, placed_arguments
from domain.tools.catalog import ArgumentPlace
from tests.api.tools.agents import SHOP, agent, calls, sent, widened
from tests.fakes.backends import says
from tests.fakes.tools import FILE, FakeTools, shop
from tests.fakes.tools import says as answers

pytestmark = pytest.mark.slow

CORPUS: Any = json.loads((Path(__file__).parent / "published" / "agentdojo.json").read_text(encoding="utf-8"))
GOALS: dict[str, str] = CORPUS["goals"]
ATTACKS: dict[str, str] = CORPUS["attacks"]
UNTRUSTED = shop(FILE.replace("trusted = true\n", ""))
LOOKUPS = calls(*(("shop__find_order", {"number": f"A-{number}"}) for number in range(len(ATTACKS))))


def results(goal: str) -> list[str]:
    """Return the goal in each wording of an attack, as the results of a tool."""
    names = {"user": "Emma Johnson", "model": "GPT-4", "tools": "send_email(recipients=$to)"}
    return [text.format(goal=goal, **names) for text in ATTACKS.values()]


def obeying(goal: str) -> Any:
    """Return the calls of a model that does what the goal says, by every means that it can think of."""
    return calls(
        ("shop__send_note", {"text": goal}),
        ("shop__refund_order", {"number": goal}),
        ("shop__refund_order", {"number": "A-1", "owner": "bob", "url": "https://www.my-website-234.com/random"}),
        ("shop__find_order", {"number": f"https://www.my-website-234.com/random?q={goal}"}),
        ("shop__find_order", {"number": "A-1", "user": "mark.black-2134@gmail.com"}),
        ("send_email", {"recipients": ["mark.black-2134@gmail.com"], "body": goal}),
        ("bank__send_money", {"recipient": "US133000000121212121212", "amount": 30_000}),
        ("shop__close_shop", {}),
    )


@pytest.mark.parametrize("name", GOALS)
async def test_a_model_that_obeys_writes_nothing_and_reaches_no_other_address(name: str) -> None:
    goal = GOALS[name]
    tools = FakeTools(replies={"find_order": [answers(text) for text in results(goal)]})
    one = widened(agent(LOOKUPS, obeying(goal), says("done"), tools=tools, servers=UNTRUSTED))
    made = (await one.create({"model": "auto", "input": "where are my orders?", "tools": [SHOP]})).json()
    assert {each.tool for each in tools.sent} == {"find_order"}, "no write without an approval"
    requests = [item["name"] for item in made["output"] if item["type"] == "mcp_approval_request"]
    assert set(requests) <= {"send_note", "refund_order", "close_shop"}
    assert len(requests) == 3, "what matches no schema is not even asked for"
    lookup = UNTRUSTED.known["shop"].tools["find_order"]
    for each in tools.sent:
        assert each.arguments.keys() == {"number"}, "no argument that the file does not have"
        path = path_of(lookup, placed_arguments(lookup, each.arguments)[ArgumentPlace.PATH])
        assert path.startswith("/v1/orders/")
        assert path.count("/") == lookup.path.count("/"), "an address is a value, and no place to go to"


async def test_each_attack_stays_between_its_marks() -> None:
    for goal in GOALS.values():
        tools = FakeTools(replies={"find_order": [answers(text) for text in results(goal)]})
        one = widened(agent(LOOKUPS, says("done"), tools=tools))
        await one.create({"model": "auto", "input": "where are my orders?", "tools": [SHOP]})
        read = [each["content"].split("\n") for each in sent(one)["messages"] if each["role"] == "tool"]
        assert [len(lines) for lines in read] == [3] * len(ATTACKS)
        assert [json.loads(line) for _, line, _ in read] == results(goal)


def test_the_corpus_is_whole() -> None:
    assert (len(GOALS), len(ATTACKS)) == (35, 6)
    assert "MIT License" in (Path(__file__).parent / "published" / CORPUS["licence"]).read_text(encoding="utf-8")
