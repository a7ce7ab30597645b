"""Do budgets and rate limits change without a restart, for operators alone, and without a read for each turn?"""

from collections.abc import Mapping, Sequence
from copy import replace
from decimal import Decimal
from random import Random
from typing import Any

from domain.identity.owners import Owner
from domain.money.budgets import Budgets, BudgetScope
from state.money.limit_changes import DOCUMENT, REFRESH_S
from tests.api.harness import CALLERS, OPERATOR, Api, FakeAuthenticator, api
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER

AUTHOR = replace(OPERATOR, roles=(*OPERATOR.roles, "Limits.Write"))
FOREIGN = Owner(tenant="99999999-9999-9999-9999-999999999999", subject=AUTHOR.subject, roles=AUTHOR.roles)
ONE_TENANT: Mapping[str, Any] = {
    "operator_tenant": OWNER.tenant,
    "token_tenants": frozenset({OWNER.tenant, FOREIGN.tenant}),
}


class Operators(FakeAuthenticator):
    """Knows two more callers, who may change limits."""

    def __init__(self) -> None:
        super().__init__()
        self.owners = CALLERS | {"author": AUTHOR, "foreign_author": FOREIGN}


def serving(turns: int = 1, *, budgets: Budgets | None = None, **changes: Any) -> Api:
    answers = FakeBackend(*(says("one two") for _ in range(turns)))
    return api(answers, authenticator=Operators(), budgets=budgets, **{**ONE_TENANT, **changes})


def beside(one: Api) -> Api:
    """Return another instance of the app over the same store."""
    return api(
        FakeBackend(says("one two")),
        authenticator=Operators(),
        store=one.world.store,
        clock=one.world.clock,
        **ONE_TENANT,
    )


async def change(one: Api, body: Mapping[str, Any], caller: str = "author") -> Any:
    return await one.http.post("/v1/limits", json=body, headers={"authorization": f"Bearer {caller}"})


async def limits(one: Api, caller: str = "operator", **query: str) -> Any:
    return await one.http.get("/v1/limits", params=query, headers={"authorization": f"Bearer {caller}"})


def named(answer: Any) -> Mapping[str, Any]:
    assert answer.status_code == 200, answer.text
    return {each["id"]: each for each in answer.json()["data"]}


async def turn_status(one: Api) -> int:
    answer = await one.create({"input": "hi", "model": "model"})
    await one.orchestrations.ended()
    return answer.status_code


async def test_a_changed_budget_is_in_force_on_every_instance_within_a_minute() -> None:
    one = serving(2)
    other = beside(one)
    assert (await turn_status(one), await turn_status(other)) == (200, 200)
    assert (await change(one, {"values": {"tenant_day": "0.000001"}})).status_code == 200
    assert await turn_status(one) == 429
    one.world.clock.advance(REFRESH_S)
    assert await turn_status(other) == 429
    assert (await change(other, {"reset": ["tenant_day"]})).status_code == 200
    assert await turn_status(other) == 200


async def test_a_changed_rate_limit_is_in_force_without_a_restart() -> None:
    one = serving(3)
    assert await turn_status(one) == 200
    await change(one, {"values": {"owner_turns_per_minute": 0.001, "owner_burst": 1}})
    assert [await turn_status(one) for _ in range(2)] == [200, 429]
    await change(one, {"reset": ["owner_turns_per_minute", "owner_burst"]})
    one.world.clock.advance(1)
    assert await turn_status(one) == 200


async def test_the_limits_in_force_are_shown_beside_the_configured_ones() -> None:
    one = serving(budgets=Budgets(limits={BudgetScope.TENANT_DAY: Decimal(5)}))
    answer = await change(one, {"values": {"tenant_day": 2.5, "owner_day": None, "owner_running": 7}})
    assert named(answer) == named(await limits(one))
    shown = named(answer)
    assert shown["tenant_day"] == {
        "id": "tenant_day",
        "object": "limit",
        "in_force": "2.5",
        "configured": "5",
        "changed": True,
    }
    assert (shown["owner_day"]["in_force"], shown["owner_day"]["changed"]) == (None, True)
    assert (shown["owner_running"]["in_force"], shown["owner_running"]["configured"]) == ("7", "100")
    assert (shown["tenant_running"]["in_force"], shown["tenant_running"]["changed"]) == ("400", False)
    assert (answer.json()["changed_by"], answer.json()["tenant"]) == (AUTHOR.subject, OWNER.tenant)


async def test_the_same_change_again_changes_nothing_more() -> None:
    one = serving()
    first = await change(one, {"values": {"tenant_day": "2"}})
    assert named(await change(one, {"values": {"tenant_day": "2"}})) == named(first)


async def test_an_operator_changes_another_tenant_and_that_tenant_changes_nothing() -> None:
    one = serving()
    answer = await change(one, {"tenant": FOREIGN.tenant, "values": {"tenant_day": "2"}})
    assert (answer.status_code, answer.json()["tenant"]) == (200, FOREIGN.tenant)
    assert named(await limits(one, "foreign_author"))["tenant_day"]["in_force"] == "2"
    assert named(await limits(one))["tenant_day"]["in_force"] is None
    assert (await change(one, {"values": {"tenant_day": "9"}}, "foreign_author")).status_code == 403
    assert (await limits(one, "foreign_author", tenant=OWNER.tenant)).status_code == 400


async def test_without_the_role_or_an_operators_tenant_nothing_is_shown_or_changed() -> None:
    one = serving()
    assert (await limits(one, "mine")).status_code == 403
    assert (await change(one, {"values": {"tenant_day": "2"}}, "operator")).status_code == 403
    nobody = await change(serving(operator_tenant=None), {"values": {"tenant_day": "2"}})
    assert (nobody.status_code, "GANGLION_OPERATOR_TENANT" in nobody.json()["error"]["message"]) == (403, True)


async def test_a_wrong_change_names_its_field_and_changes_nothing() -> None:
    one = serving()
    wrong: Sequence[tuple[Mapping[str, Any], str]] = (
        ({"values": {"tenant_day": -1}}, "values.tenant_day"),
        ({"values": {"tenant_day": True}}, "values.tenant_day"),
        ({"values": {"tenant_day": "1e-999999999"}}, "values.tenant_day"),
        ({"values": {"owner_turns_per_minute": "1e-400"}}, "values.owner_turns_per_minute"),
        ({"values": {"warn_share": "1.5"}}, "values.warn_share"),
        ({"values": {"warn_share": "none"}}, "values.warn_share"),
        ({"values": {"warn_share": None}}, "values.warn_share"),
        ({"values": {"tenant_day": "many"}}, "values.tenant_day"),
        ({"values": {"tennant_day": 1}}, "values.tennant_day"),
        ({"values": {"owner_burst": 1.5}}, "values.owner_burst"),
        ({"reset": ["tennant_day"]}, "reset[0]"),
        ({"tenant": "88888888-8888-8888-8888-888888888888"}, "tenant"),
        ({"values": []}, "values"),
    )
    for body, field in wrong:
        answer = await change(one, body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, field), body
    assert not any(each["changed"] for each in named(await limits(one)).values())


async def test_turns_of_a_minute_share_one_read_of_the_changes() -> None:
    clock = FakeClock()
    store = FlakyStore(MemoryStore(clock), Random(0))  # noqa: S311 - a test must repeat
    one = api(FakeBackend(*(says("one two") for _ in range(3))), store=store, clock=clock)
    for _ in range(3):
        assert await turn_status(one) == 200
    assert [call.name for call in store.calls if DOCUMENT in call.about] == ["read"]
