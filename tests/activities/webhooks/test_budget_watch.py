"""Do operators hear of a day that gets dear while its turns still run, once for each step, whatever is killed?"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from copy import replace
from decimal import Decimal
from typing import Any, override

import pytest

from activities.webhooks.budget_watch import BudgetWatch
from activities.webhooks.deliver_webhook import DeliverWebhook
from clients.storage.port import DocumentStore
from clients.storage.request_units import add_charge, metered
from domain.errors import Unavailable
from domain.money.budget_events import ALARMED, WARNED, steps_reached
from domain.money.budgets import Budgets
from domain.money.spend_forecast import forecast_of
from domain.money.usage import DIMENSIONS, UsageRow
from domain.turns.webhook_events import WebhookEndpoint, WebhookEndpoints
from state.money.budget_status import BudgetStatus
from state.money.usage_rows import UsageRows
from state.webhook_outbox import WebhookOutbox
from tests.activities.webhooks.test_deliver_webhook import MAIN, TAKEN, Deliveries
from tests.fakes.backends import FakeBackend, says
from tests.fakes.worlds import OWNER, World, backend

EARS = replace(MAIN, name="ears", budget_events=frozenset({WARNED, ALARMED}))
COST = Decimal("0.000011")
"""What one turn of the fake backend costs."""


class Day(Deliveries):
    """A world with one receiver that wants the events of budgets, and one that has not asked for them."""

    def __init__(self, forecast: Decimal, endpoints: Sequence[WebhookEndpoint] = (EARS, MAIN)) -> None:
        super().__init__(TAKEN, endpoints=endpoints)
        self.gate = asyncio.Event()
        answer = says("one two")
        self.world = World(
            store=self.store,
            clock=self.clock,
            backends={"main": (backend("main"), FakeBackend([answer[0], self.gate, *answer[1:]]))},
            endpoints=self.endpoints,
        )
        self.world.ledger.budget_counters.configured = Budgets(forecast=forecast)
        self.own.deliver = self.deliver()

    @property
    def own(self) -> BudgetWatch:
        """The watch of the process that runs the turns."""
        return self.world.app.activities.watch

    def watch(self) -> BudgetWatch:
        """Return the watch of another process: it knows nothing of what was announced before."""
        return BudgetWatch(
            status=BudgetStatus(self.store, self.clock, self.world.ledger.budget_counters),
            usage=UsageRows(self.store),
            outbox=WebhookOutbox(self.store, self.clock),
            endpoints=self.endpoints,
            deliver=self.deliver(),
            clock=self.clock,
        )

    def deliver_by(self, outbox: WebhookOutbox) -> Any:
        sender: Any = self.sender
        return DeliverWebhook(outbox=outbox, endpoints=self.endpoints, sender=sender, clock=self.clock).deliver

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(each.body) for name, each in self.sender.sent if name == "ears" and each.event]

    async def spend(self) -> None:
        self.gate.set()
        await self.world.run(await self.world.admit("hello"))
        await asyncio.gather(*self.own.tasks)


@pytest.mark.parametrize(
    ("taken", "steps"), [(0, 0), (79, 0), (80, 1), (99, 1), (100, 2), (149, 2), (150, 3), (10_000, 3)]
)
def test_the_steps_are_80_100_and_150_percent(taken: int, steps: int) -> None:
    forecast = forecast_of(Decimal("0.0000001"), ())
    assert forecast is not None
    assert len(steps_reached(taken, forecast)) == steps


async def test_each_step_is_announced_once_with_its_largest_causes_and_no_content() -> None:
    day = Day(COST * Decimal("1.2"))
    await day.spend()
    await day.watch().look(OWNER.tenant)
    await day.spend()
    for _ in range(3):
        await day.watch().look(OWNER.tenant)
    assert [(each["type"], each["data"]["percent"]) for each in day.bodies] == [
        ("budget.warned", 80),
        ("budget.warned", 100),
        ("budget.alarmed", 150),
    ]
    alarm = day.bodies[-1]
    assert set(alarm) == {"id", "object", "created_at", "type", "data"}
    assert alarm["data"]["tenant"] == OWNER.tenant
    assert Decimal(alarm["data"]["spent_usd"]) + Decimal(alarm["data"]["held_usd"]) >= COST * Decimal("1.8")
    assert alarm["data"]["causes"] == [{"cause": "held", "usd": alarm["data"]["held_usd"]}]
    assert "hello" not in json.dumps(day.bodies)
    assert len({each["id"] for each in day.bodies}) == 3


async def test_what_was_spent_is_told_by_its_causes() -> None:
    day = Day(COST, endpoints=(EARS,))
    day.own.endpoints = WebhookEndpoints()
    await day.spend()
    await day.watch().look(OWNER.tenant)
    assert [each["data"]["percent"] for each in day.bodies] == [80, 100]
    assert day.bodies[-1]["data"]["spent_usd"] == f"{COST:.9f}"
    assert day.bodies[-1]["data"]["causes"] == [{"cause": "tokens", "usd": f"{COST:.9f}"}]


async def test_the_alarm_arrives_while_the_turn_that_breaks_the_forecast_still_runs() -> None:
    day = Day(Decimal("0.000001"))
    heard: list[str] = []

    async def deliver(request: Any) -> None:
        heard.append(request["endpoint"])

    day.own.deliver = deliver
    turn = asyncio.create_task(day.world.run(await day.world.admit("hello")))
    while not heard:
        assert not turn.done(), turn
        await asyncio.sleep(0)
    day.gate.set()
    await turn
    assert set(heard) == {"ears"}


@pytest.mark.parametrize("killed", ["before the commit", "after the commit", "before the delivery is noted"])
async def test_a_process_that_dies_around_the_commit_costs_no_message_and_adds_none(
    killed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = Day(COST / 2, endpoints=(EARS,))
    day.own.endpoints = WebhookEndpoints()
    await day.spend()
    dying, outbox = day.watch(), WebhookOutbox(day.store, day.clock)
    match killed:
        case "before the commit":
            monkeypatch.setattr(dying.outbox, "announce", dies)
        case "after the commit":
            dying.deliver = dies
        case _:
            monkeypatch.setattr(outbox, "close", dies)
            dying.deliver = day.deliver_by(outbox)
    await dying.look_safely(OWNER.tenant)
    await day.watch().look_safely(OWNER.tenant)
    day.clock.advance(120)
    await day.sweep()
    for each in await day.open():
        await day.run(each)
    heard = [each["id"] for each in day.bodies]
    assert len(set(heard)) == 3
    assert len(heard) == (3 if killed != "before the delivery is noted" else 4)
    assert not await day.open()


async def dies(*_: object) -> Any:
    raise Unavailable("The process was killed.")


async def test_without_a_webhook_that_wants_them_nothing_is_read() -> None:
    day = Day(COST / 2, endpoints=(MAIN,))
    await day.spend()
    assert day.endpoints.wanting(OWNER.tenant, ALARMED) == ()
    assert not day.own.tasks
    assert not day.bodies


def test_an_endpoint_gets_the_events_of_its_tenants_alone() -> None:
    mine = replace(EARS, tenants=frozenset({"another"}))
    assert WebhookEndpoints(known={"ears": mine}).wanting(OWNER.tenant, ALARMED) == ()


class Scans(UsageRows):
    """Counts the reads of all rows of a tenant, each of which costs request units and waits at a gate."""

    def __init__(self, store: DocumentStore) -> None:
        super().__init__(store)
        self.count = 0
        self.asked, self.gate = asyncio.Event(), asyncio.Event()

    @override
    async def of_tenant(self, tenant: str, *, first: str, last: str, by: Iterable[str] = DIMENSIONS) -> list[UsageRow]:
        self.count += 1
        add_charge(100.0)
        self.asked.set()
        await self.gate.wait()
        return await super().of_tenant(tenant, first=first, last=last, by=by)


async def test_many_notices_are_one_look_and_one_more_and_no_turn_pays_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    day = Day(COST * Decimal("1.2"))
    await day.spend()
    watch, scans = day.watch(), Scans(day.store)
    watch.usage = scans
    looks, own_look = list[str](), watch.look

    async def look(tenant: str) -> None:
        looks.append(tenant)
        await own_look(tenant)

    monkeypatch.setattr(watch, "look", look)
    with metered() as charge:
        for _ in range(50):
            watch.notice(OWNER.tenant)
        await scans.asked.wait()
        for _ in range(50):
            watch.notice(OWNER.tenant)
        scans.gate.set()
        await asyncio.gather(*watch.tasks)
    assert (looks, scans.count, charge.units) == ([OWNER.tenant] * 2, 1, 0.0)
    assert not watch.noticed
