"""Does a turn that no budget covers fail with the reason, and pay for what it used?"""

import asyncio
from decimal import Decimal

import pytest

from clients.storage.port import Add, Create
from domain.log.events import ResponseStatus
from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.budgets import HELD, TAKEN, Budgets, BudgetScope
from domain.money.ledger_records import AttemptRecord, nanos, turn_cost
from state.money.ledger import Ledger, money_key
from tests.fakes.backends import FakeBackend, interrupted, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, World, backend

DOLLAR = 10**9


def world(script: FakeBackend, **limits: str) -> World:
    clock = FakeClock()
    one = World(store=MemoryStore(clock), clock=clock, backends={"main": (backend("main"), script)})
    budgets = Budgets(limits={BudgetScope[name]: Decimal(limit) for name, limit in limits.items()})
    one.ledger.budget_counters = Ledger(one.store, clock, budgets).budget_counters
    return one


def attempt_of(response: str, at: float) -> AttemptRecord:
    return AttemptRecord(
        response=response,
        subject=OWNER.subject,
        number=1,
        backend="main",
        price="tokens",
        started_at=at,
        charge=AttemptCharge(reserved=Decimal("0.01")),
    )


async def counted(one: World, name: str) -> tuple[int, int]:
    found = await one.store.read(money_key(OWNER.tenant), name)
    assert found
    return found.body[TAKEN], found.body[HELD]


async def test_a_turn_that_no_budget_covers_any_more_fails_with_the_reason_and_makes_no_call() -> None:
    script = FakeBackend(says("never"))
    one = world(script, TENANT_DAY="0.01")
    response = await one.admit("hello")
    rich = Ledger(one.store, one.clock, Budgets())
    other = await one.admit("another")
    await rich.open_attempt(OWNER, attempt_of(other.id, one.clock.now()))
    await one.run(response)
    log = await one.log(response)
    assert log.status is ResponseStatus.FAILED
    assert log.ending
    assert log.ending.code == "insufficient_quota"
    assert log.ending.message.startswith("Your organisation's budget for the day has no room for this turn: $")
    assert script.calls == []
    assert await one.ledger.attempts(OWNER, response.id) == ()


async def worst_case() -> Decimal:
    """Return what the first attempt of a turn reserves."""
    one = world(FakeBackend(says("one")))
    response = await one.admit("hello")
    await one.run(response)
    (attempt,) = await one.ledger.attempts(OWNER, response.id)
    return attempt.charge.reserved


async def test_a_second_attempt_that_no_budget_covers_leaves_the_cost_of_the_first() -> None:
    script = FakeBackend(interrupted("one two"), says(" three"))
    one = world(script, RESPONSE="0.01")
    response = await one.admit("hello")
    one.ledger.budget_counters.configured = Budgets(limits={BudgetScope.RESPONSE: await worst_case()})
    await one.run(response)
    log = await one.log(response)
    attempts = await one.ledger.attempts(OWNER, response.id)
    assert log.status is ResponseStatus.FAILED, attempts
    assert log.ending
    assert log.ending.message.startswith("The budget for one response has no room for this turn: $")
    assert [item.text for item in log.items] == ["one two"]
    assert [each.charge.status for each in attempts] == [AttemptStatus.CLOSED]
    assert len(script.calls) == 1
    taken, held = await counted(one, f"budget_response_{response.id}")
    assert (taken, held) == (nanos(turn_cost(attempts)), 0)
    assert taken > 0


async def test_a_turn_leaves_its_cost_in_every_budget_and_no_reservation() -> None:
    one = world(FakeBackend(says("one two")))
    response = await one.admit("hello")
    await one.run(response)
    cost = nanos(turn_cost(await one.ledger.attempts(OWNER, response.id)))
    assert cost > 0
    found = await one.store.list(money_key(OWNER.tenant), prefix="budget_")
    assert [(each.body[TAKEN], each.body[HELD]) for each in found] == [(cost, 0)] * 4


def alarm_count(caplog: pytest.LogCaptureFixture) -> int:
    return sum(message.startswith("budget alarm") for message in caplog.messages)


async def spend(one: World) -> None:
    await one.run(await one.admit("hello"))


async def test_operators_get_one_alarm_a_day_where_a_tenant_spends_half_as_much_again_as_forecast(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = world(FakeBackend(says("one two")))
    one.ledger.budget_counters.configured = Budgets(forecast=Decimal("0.000012"))
    alarms: list[int] = []
    for pause_s in (0, 0, 0, 86_400, 0, 0):
        one.clock.advance(pause_s)
        await spend(one)
        alarms.append(alarm_count(caplog))
    assert alarms == [0, 1, 1, 1, 2, 2]


async def test_settlements_at_the_same_time_raise_one_alarm(caplog: pytest.LogCaptureFixture) -> None:
    one = world(FakeBackend(says("one two")))
    for _ in range(3):
        await spend(one)
    one.ledger.budget_counters.configured = Budgets(forecast=Decimal("0.000012"))
    responses = [await one.admit("hello") for _ in range(10)]
    settle = one.app.activities.settle
    await asyncio.gather(*(settle.raise_budget_alarm(OWNER.tenant, each.id) for each in responses))
    assert alarm_count(caplog) == 1


async def test_without_a_forecast_there_is_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    one = world(FakeBackend(says("one two")))
    await spend(one)
    assert alarm_count(caplog) == 0


async def test_without_a_forecast_a_day_is_compared_with_the_days_before_it(caplog: pytest.LogCaptureFixture) -> None:
    one = world(FakeBackend(says("one two")))
    key = money_key(OWNER.tenant)
    for day in ("2027-01-10", "2027-01-12", "2027-01-14"):
        body = {"kind": "budget", "v": 1, TAKEN: 5 * DOLLAR, HELD: DOLLAR}
        await one.store.commit(key, (Create(id=f"budget_tenant_{day}", body=body),))
    alarms: list[int] = []
    for dollars in (0, 5, 2):
        await spend(one)
        await one.store.commit(key, (Add(id="budget_tenant_2027-01-15", amounts={TAKEN: dollars * DOLLAR}),))
        alarms.append(alarm_count(caplog))
    await spend(one)
    assert [*alarms, alarm_count(caplog)] == [0, 0, 0, 1]
