"""Does the whole product keep its promises under every seed, in virtual time?"""

import os
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from devhost.engine.model.events import HistoryEvent
from devhost.engine.model.instances import TaskHubUnavailableError
from devhost.engine.model.work_items import ActivityWorkItem
from devhost.engine.storage.rows import insert_message
from devhost.engine.storage.store import TaskHubStore
from tests.devhost_campaigns.in_process import InlineStorage
from tests.simulation.campaign import LEAST_FAULTS, faults_in, run, run_all
from tests.simulation.plan import LEAST_TURNS, Plan, described, plan_of, shrunk

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:azure.functions df_loads:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion:UserWarning"),
]
FEW, SOME, MANY = 8, 1010, int(os.environ.get("SEEDS", "10000"))
FIRST = int(os.environ.get("TEST_SEED", "0"))


def run_few() -> None:
    for seed in range(FEW):
        run(plan_of(seed))


def test_a_few_seeds_keep_every_promise() -> None:
    for seed in range(FEW):
        plan = plan_of(seed)
        product = run(plan)
        assert plan.turns >= LEAST_TURNS
        known = sum(bool(caller.response) for caller in product.callers)
        assert known + product.counts["refused for a budget"] + product.counts["given up"] == plan.turns
        assert faults_in(product.counts) >= LEAST_FAULTS


async def does_nothing(*_: object) -> None:
    """A step that was forgotten."""


async def settles_nothing(*_: object) -> Decimal:
    return Decimal(0)


def records_twice(store: TaskHubStore, work: ActivityWorkItem, event: HistoryEvent) -> bool:
    with store.transaction() as database:
        insert_message(database, work.instance, event, work.execution)
    return True


async def tries_once[T](storage: InlineStorage, step: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """A failed statement is not repeated."""
    return await storage.run(step, *args, **kwargs)


DEFECTS: dict[str, object] = {
    "activities.maintenance.sweep.Sweep.start_unbegun": does_nothing,
    "state.money.ledger.Ledger.settle": settles_nothing,
    "devhost.engine.storage.store.TaskHubStore.finish_work": records_twice,
    "devhost.engine.storage.database.StorageThread.persist": tries_once,
}


@pytest.mark.parametrize(("place", "defect"), DEFECTS.items(), ids=[name.rpartition(".")[2] for name in DEFECTS])
def test_a_defect_of_the_product_or_the_host_is_found(
    monkeypatch: pytest.MonkeyPatch, place: str, defect: object
) -> None:
    monkeypatch.setattr(place, defect)
    with pytest.raises((AssertionError, TimeoutError, TaskHubUnavailableError)):
        run_few()


def test_a_seed_repeats() -> None:
    once, again = run(plan_of(3)), run(plan_of(3))
    assert [caller.events for caller in once.callers] == [caller.events for caller in again.callers]
    assert sum(len(caller.events) for caller in once.callers) > 0


def test_a_failing_plan_shrinks_to_the_faults_that_it_needs() -> None:
    def fails(plan: Plan) -> bool:
        return plan.host_crashes >= 2 and plan.store_fault_rate > 0

    plan = Plan(seed=7, turns=5, host_crashes=4, store_fault_rate=0.04, clock_jumps=2, cancels=1)
    assert described(shrunk(plan, fails)) == "seed=7, host_crashes=2, store_fault_rate=0.04"


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_some_seeds_keep_every_promise() -> None:
    report(run_all(range(FIRST, FIRST + SOME)))


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(36_000)
def test_many_seeds_keep_every_promise() -> None:
    """SEEDS is their number, TEST_SEED the first."""
    report(run_all(range(FIRST, FIRST + MANY)))


def report(counts: Counter[str]) -> None:
    """Nearly every seed has the five faults that make it count."""
    print(dict(counts))  # noqa: T201 - the figures of the campaign
    assert counts["seeds with few faults"] <= counts["seeds"] / 100
