"""Does a turn go only to backends that may have its data, and that its budget covers?"""

from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.fleet.caller_rules import CallerRules, TenantRules
from domain.money.budgets import Budgets, BudgetScope
from tests.api.harness import Api, api
from tests.api.turns.test_token_counter import WordCounter
from tests.fakes.backends import FakeBackend, says
from tests.fakes.worlds import OWNER, PRICE, backend

EUROPEANS = TenantRules(tenants={OWNER.tenant: CallerRules(residencies=frozenset({"eu"}))})
CHEAPER = replace(PRICE, name="cheaper", input=PRICE.input / 2, output=PRICE.output / 2)
AMERICA = replace(backend("america"), residency="us", price=CHEAPER)
EUROPE = replace(backend("europe"), residency="eu")


def world(callers: TenantRules | None = None, **changes: Any) -> Api:
    """Return an API with two backends; the one in America is the cheaper one."""
    answers = FakeBackend(says("from america")), FakeBackend(says("from europe"))
    return api(*answers, deployed={"america": AMERICA, "europe": EUROPE}, callers=callers, **changes)


async def answered(one: Api, **metadata: str) -> str:
    body = {"model": "model", "input": "hi", "metadata": metadata}
    answer = (await one.http.post("/v1/responses", json=body)).json()
    return answer["output"][0]["content"][0]["text"] if answer.get("output") else answer["error"]["message"]


async def test_without_rules_the_cheapest_backend_answers() -> None:
    assert await answered(world()) == "from america"


async def test_a_turn_stays_where_it_says() -> None:
    assert await answered(world(), residency="eu") == "from europe"
    assert await answered(world(), residency="eu,us") == "from america"


async def test_a_tenants_data_stay_where_its_rules_say() -> None:
    assert await answered(world(EUROPEANS)) == "from europe"
    assert "may only be sent to eu" in await answered(world(EUROPEANS), residency="us")
    assert "expected some of eu, us" in await answered(world(), residency="mars")


async def test_the_route_says_why_a_backend_did_not_get_the_data() -> None:
    one = world(EUROPEANS)
    answer = (await one.http.post("/v1/responses", json={"model": "model", "input": "hi"})).json()
    route = (await one.http.get(f"/v1/responses/{answer['id']}/route")).json()
    rejected = {each["backend"]: each for each in route["routes"][0]["refused"]}
    assert rejected["america"]["code"] == "residency"
    assert "must stay in eu" in rejected["america"]["reason"]


async def test_a_prompt_is_counted_only_where_it_may_be_sent() -> None:
    counter = WordCounter()
    one = world(EUROPEANS, prompt_counters={"america": counter})
    counted = await one.http.post("/v1/responses/input_tokens", json={"model": "model", "input": "hi"})
    assert counted.headers["x-ganglion-counted-by"] == "estimate"
    assert counter.calls == []


async def test_no_backend_is_left_where_a_pin_and_the_rules_contradict_each_other() -> None:
    one = world(EUROPEANS)
    refused = await one.http.post("/v1/responses", json={"model": "model@america", "input": "hi"})
    assert refused.status_code == 400
    assert "must stay in eu" in refused.json()["error"]["message"]


@pytest.mark.parametrize("truncation", ["auto", "disabled"])
async def test_a_contradiction_is_named_where_a_history_or_an_image_stands_beside_it(truncation: str) -> None:
    one = world(EUROPEANS, prompt_counters={"america": WordCounter()})
    first = (await one.http.post("/v1/responses", json={"model": "model", "input": "hi"})).json()
    image = {"type": "input_image", "image_url": "https://pictures.example/cat.png"}
    for more in ({"previous_response_id": first["id"]}, {"input": [{"role": "user", "content": [image]}]}):
        body = {"model": "model@america", "input": "and?", "truncation": truncation, **more}
        refused = await one.http.post("/v1/responses", json=body)
        assert refused.status_code == 400
        assert "must stay in eu" in refused.json()["error"]["message"]


@pytest.mark.parametrize(("value", "text"), [("0", "from america"), ("1", "from europe")])
async def test_time_that_is_worth_more_buys_a_faster_answer(value: str, text: str) -> None:
    fast = replace(EUROPE, speed=replace(EUROPE.speed, decode_tokens_s=500))
    answers = FakeBackend(says("from america")), FakeBackend(says("from europe"))
    one = api(*answers, deployed={"america": AMERICA, "europe": fast})
    assert await answered(one, time_value=value) == text


async def test_a_budget_that_covers_only_one_backend_sends_the_turn_there() -> None:
    dear = replace(PRICE, name="dear", input=PRICE.input * 1000, output=PRICE.output * 1000)
    fast = replace(EUROPE, price=dear, speed=replace(EUROPE.speed, decode_tokens_s=5000))
    for limit, text in (("0.5", "from america"), ("5000", "from europe")):
        answers = FakeBackend(says("from america")), FakeBackend(says("from europe"))
        budgets = Budgets(limits={BudgetScope.OWNER_DAY: Decimal(limit)})
        one = api(*answers, deployed={"america": AMERICA, "europe": fast}, budgets=budgets)
        assert await answered(one, time_value="1") == text


async def test_a_turn_that_no_budget_covers_anywhere_is_refused_at_admission() -> None:
    one = world(budgets=Budgets(limits={BudgetScope.OWNER_DAY: Decimal("0.000001")}))
    refused = await one.http.post("/v1/responses", json={"model": "model", "input": "hi"})
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "insufficient_quota"
