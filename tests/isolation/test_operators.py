"""Do two operators of two tenants, each with every role, see nothing of each other but the sum of all others?"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from domain.identity.owners import Owner
from tests.api.endpoints.reports.test_fleet import GPU, attempt
from tests.api.harness import Api, FakeAuthenticator, api
from tests.fakes.backends import FakeBackend, says
from tests.fakes.worlds import backend
from tests.isolation.probes import parameters, served
from tests.isolation.watching import UNLIMITED

ROLES = ("Operations.Read", "Operations.WarmUp", "Usage.Read")
OPERATORS: Mapping[str, Owner] = {
    "one": Owner(tenant="1" * 8, subject="user:a1a1a1a1", roles=ROLES),
    "two": Owner(tenant="2" * 8, subject="user:b2b2b2b2", roles=ROLES),
}
TURNS = {"one": 1, "two": 3}
"""The tenants differ in what they spent, so that a foreign amount is seen."""


class TwoTenants(FakeAuthenticator):
    def __init__(self) -> None:
        super().__init__()
        self.owners = OPERATORS


async def read(one: Api, caller: str, path: str) -> Any:
    answer = await one.http.get(path, headers={"authorization": f"Bearer {caller}"})
    assert answer.status_code == 200, (path, answer.text)
    return answer.json()


@pytest.fixture
async def shared() -> tuple[Api, Mapping[str, list[str]]]:
    """Return a deployment that two tenants share, and the ids of what each of them made."""
    answers = FakeBackend(*(says("one two") for _ in range(sum(TURNS.values()))))
    fleet = {"main": backend("main"), "gpu": GPU}
    one = api(answers, FakeBackend(), deployed=fleet, authenticator=TwoTenants(), limits=UNLIMITED)
    made: dict[str, list[str]] = {name: [] for name in OPERATORS}
    for name, owner in OPERATORS.items():
        headers = {"authorization": f"Bearer {name}"}
        for _ in range(TURNS[name]):
            conversation = (await one.http.post("/v1/conversations", json={}, headers=headers)).json()["id"]
            body = {"model": "model@main", "input": "hi", "conversation": conversation}
            turn = (await one.create(body, **headers)).json()
            await one.orchestrations.ended()
            made[name] += [turn["id"], conversation]
        record = attempt(owner, "12"[name == "two"])
        await one.world.app.state.gpu_sessions.enter(GPU, owner, record, limit_s=60)
        await one.world.app.state.economics_runs.publish(owner.tenant, {"cheapest": f"cheapest-of-{name}"})
        made[name] += [record.id, owner.tenant, owner.subject, f"cheapest-of-{name}"]
    return one, made


async def test_no_list_or_report_names_anything_of_another_tenant(shared: tuple[Api, Mapping[str, list[str]]]) -> None:
    one, made = shared
    paths = [f"/{each.template}" for each in served() if "GET" in each.methods and not parameters(each)]
    dimensions = ("owner,conversation,hour,model,backend", "owner,batch", "owner,pipeline", "owner,cache")
    queries = ("/v1/turns?scope=tenant", *(f"/v1/usage?group_by={each}" for each in dimensions))
    seen = {
        name: json.dumps([await read(one, name, path) for path in (*paths, *queries) if "{" not in path])
        for name in OPERATORS
    }
    assert {"/v1/fleet", "/v1/usage", "/v1/turns", "/v1/budgets", "/v1/economics"} <= set(paths)
    for name, other in (("one", "two"), ("two", "one")):
        assert [each for each in made[name] if each not in seen[name]] == []
        assert [each for each in made[other] if each in seen[name]] == []


async def test_the_amounts_are_those_of_the_own_tenant(shared: tuple[Api, Mapping[str, list[str]]]) -> None:
    one, _ = shared
    for name, turns in TURNS.items():
        spent = Decimal("0.000011") * turns
        (day,) = (await read(one, name, "/v1/usage"))["data"]
        assert (day["attempts"], Decimal(day["cost_usd"])) == (turns, spent)
        budgets = (await read(one, name, "/v1/budgets"))["data"]
        assert {Decimal(each["spent_usd"]) for each in budgets} == {spent}
        (gpu,) = [each for each in (await read(one, name, "/v1/fleet"))["data"] if each["id"] == "gpu"]
        assert (len(gpu["session"]["running"]), gpu["session"]["running_of_others"]) == (1, 1)


async def test_the_route_of_a_foreign_turn_is_unknown(shared: tuple[Api, Mapping[str, list[str]]]) -> None:
    one, made = shared
    for caller, of in (("one", "two"), ("two", "one")):
        (own, foreign) = (made[name][0] for name in (caller, of))
        assert (await read(one, caller, f"/v1/responses/{own}/route"))["response_id"] == own
        answer = await one.http.get(f"/v1/responses/{foreign}/route", headers={"authorization": f"Bearer {caller}"})
        assert answer.status_code == 404
