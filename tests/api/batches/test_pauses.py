"""Does a batch pause where a budget is spent after its lines have begun, and run on when the budget has room?"""

from copy import replace
from decimal import Decimal

import pytest

from activities.batches.run_line import FULL_S
from clients.orchestrations import wire_of_batch
from clients.storage.keys import money_key
from clients.storage.port import Create
from domain.batches.batch import Batch
from domain.fleet.catalog import Backend
from domain.money.budgets import TAKEN, Budgets, BudgetScope, new_counter, tenant_day_counter_id
from domain.money.ledger_records import nanos
from state.money.limit_changes import REFRESH_S
from tests.api.batches.jobs import line, rows
from tests.api.batches.test_left_behind import checked, held, line_of, run
from tests.api.endpoints.reports.test_limits import change, serving
from tests.api.harness import Api
from tests.fakes.worlds import OWNER, backend

LIMIT = Decimal("0.01")
ONE: dict[str, Backend] = {"main": backend("main")}
TWO = {**ONE, "other": replace(backend("other"), name="other")}


async def spends_it_all(one: Api) -> None:
    """Let others spend the budget of the day."""
    at = one.world.clock.now()
    used = {**new_counter(at), TAKEN: nanos(LIMIT)}
    operation = Create(id=tenant_day_counter_id(Budgets(), at), body=used)
    await one.world.store.commit(money_key(OWNER.tenant), (operation,))


async def begun(one: Api) -> Batch:
    """Return a batch of two lines whose turns were admitted, and have not called a model."""
    batch = await checked(one, await held(one, [line(number) for number in range(2)]))
    for number in range(2):
        assert await one.world.app.batches.run_line.admit(batch, number, await line_of(one, batch, number))
    return batch


@pytest.mark.parametrize("deployed", [ONE, TWO], ids=["one backend", "two backends"])
async def test_a_line_that_has_begun_waits_for_a_budget_that_others_have_spent(deployed: dict[str, Backend]) -> None:
    one = serving(2, budgets=Budgets(limits={BudgetScope.TENANT_DAY: LIMIT}), deployed=deployed)
    batch = await begun(one)
    await spends_it_all(one)
    running, request = one.world.app.batches.run_line, wire_of_batch(batch)
    for number in (0, 1, 0):
        assert await running.run({**request, "line": number}) == {"delay_s": FULL_S, "stopped": 0}
    paused = (await one.http.get(f"/v1/batches/{batch.id}")).json()
    assert (paused["status"], paused["request_counts"]["failed"]) == ("in_progress", 0)
    assert paused["metadata"]["ganglion_ending"].startswith("paused: Your organisation's budget for the day")
    assert (await change(one, {"values": {"tenant_day": "1"}})).status_code == 200
    one.world.clock.advance(REFRESH_S)
    done = await run(one, batch)
    assert (done["status"], done["request_counts"]["completed"], done["metadata"]) == ("completed", 2, {})
    for each in await rows(one, done["output_file_id"]):
        assert len(await one.world.ledger.attempts(OWNER, each["response"]["body"]["id"])) == 1


async def test_a_line_whose_own_budget_is_too_small_fails_and_does_not_wait() -> None:
    one = serving(2, budgets=Budgets(limits={BudgetScope.RESPONSE: LIMIT}))
    batch = await begun(one)
    assert (await change(one, {"values": {"response": "0.000001"}})).status_code == 200
    one.world.clock.advance(REFRESH_S)
    done = await run(one, batch)
    assert (done["status"], done["request_counts"]["failed"]) == ("completed", 2)
