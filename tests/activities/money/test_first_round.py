"""Is one worst case enough for a turn's warm-up and its first attempt together?"""

import asyncio
from collections.abc import Sequence
from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from clients.backends.port import BackendClient
from domain.fleet.catalog import Backend
from domain.log.events import ResponseStatus
from domain.money.attempt_charge import AttemptStatus
from domain.money.budgets import TAKEN, Budgets, BudgetScope
from domain.money.ledger_records import nanos, turn_cost
from domain.routing.rent_or_buy import window_s
from state.money.ledger import money_key
from tests.activities.cold_starts import EXPENSIVE, Cluster, cold_gpu, cold_of
from tests.api.harness import Api, FakeAuthenticator, RunningOrchestrations
from tests.domain.fleets import GPU as GPU_PRICE
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import LoopClock, SleepingGpu
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, World, backend

COLD = cold_of(60.0, 120.0)
NANO = Decimal("1e-9")


class Scene:
    """The API of a fleet with a cold GPU; the owner has a budget for the day."""

    def __init__(self, budget: Decimal | None, gpu: SleepingGpu, **others: tuple[Backend, BackendClient]) -> None:
        orchestrations = RunningOrchestrations()
        clock = LoopClock()
        self.gpu = gpu
        self.world: World[Any] = World(
            store=MemoryStore(clock),
            clock=clock,
            backends={"gpu": (cold_gpu(COLD), gpu), **others},
            authenticator=FakeAuthenticator(),
            orchestrations=orchestrations,
        )
        orchestrations.world = self.world
        limits = {} if budget is None else {BudgetScope.OWNER_DAY: budget}
        self.world.ledger.budget_counters.configured = Budgets(limits=limits)
        self.api = Api(self.world, orchestrations)

    async def ask(self) -> tuple[int, dict[str, Any]]:
        """Send a question, and wait until its turn has ended."""
        answer = await self.api.create({"input": "hello", "model": "auto", "background": True})
        await self.api.orchestrations.ended()
        return answer.status_code, answer.json()

    async def status(self, response_id: str) -> ResponseStatus:
        return (await self.world.turns.read(OWNER, response_id)).status

    async def taken(self) -> int:
        found = await self.world.store.list(money_key(OWNER.tenant), prefix=f"budget_owner_{OWNER.subject}_")
        return max((each.body[TAKEN] for each in found), default=0)


async def worst_case() -> Decimal:
    """Return what admission checks for the question."""
    scene = Scene(None, SleepingGpu(start_s=lambda: 60.0))
    _, body = await scene.ask()
    reservation = await scene.world.ledger.reservation(OWNER, body["id"])
    assert reservation
    return reservation.amount


def test_a_budget_for_one_worst_case_answers_a_question_with_a_cold_gpu() -> None:
    async def story() -> None:
        budget = await worst_case()
        assert Decimal("0.26") < budget < Decimal("0.31")
        scene = Scene(budget, SleepingGpu(start_s=lambda: 119.0))
        status, body = await scene.ask()
        assert status == 200
        assert await scene.status(body["id"]) is ResponseStatus.COMPLETED
        assert len(scene.gpu.lives) == 1
        assert await scene.taken() <= nanos(budget)

    in_no_time(story())


def test_a_budget_just_below_the_worst_case_rejects_the_question_and_starts_nothing() -> None:
    async def story() -> None:
        scene = Scene(await worst_case() - NANO, SleepingGpu(start_s=lambda: 60.0))
        status, body = await scene.ask()
        assert (status, body["error"]["code"]) == (429, "insufficient_quota")
        assert scene.gpu.arrivals == []
        assert await scene.taken() == 0

    in_no_time(story())


def test_no_gpu_is_started_for_turns_to_come_with_the_budget_of_this_turn() -> None:
    async def story() -> None:
        api = replace(backend("api"), price=replace(EXPENSIVE, output=Decimal(200)))
        worst = await worst_case()
        for budget, lives in ((worst + Decimal("0.05"), 0), (worst + Decimal("0.5"), 1)):
            scene = Scene(budget, SleepingGpu(start_s=lambda: 60.0), api=(api, FakeBackend(says("one two"))))
            spend = scene.world.app.state.rental_spend
            await spend.add(cold_gpu(COLD), Decimal(1), window_s=window_s(cold_gpu(COLD), COLD.p50_s))
            response = await scene.world.admit("hello", model="auto", deadline_s=50)
            await scene.world.run(response)
            assert await scene.status(response.id) is ResponseStatus.COMPLETED
            assert len(scene.gpu.lives) == lives

    in_no_time(story())


@pytest.mark.parametrize("kills", [(), (1.0,), (3.0,), (59.0,), (60.5,), (60.05, 62.0)])
def test_the_warm_up_and_the_attempt_never_pass_the_budget_and_end_at_the_bill(kills: Sequence[float]) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 60.0, word_s=0.5)
        cluster = Cluster(backends={"gpu": (cold_gpu(COLD), gpu)})
        response = await cluster.world.admit("hello")
        await cluster.run([response], kills=kills)
        await cluster.assert_answered([response])
        records = await cluster.world.ledger.records(OWNER, response.id)
        assert [each.number for each in records] == [0, 1]
        assert turn_cost(records) <= records[1].charge.reserved
        assert records[0].charge.covered_by == 0
        await asyncio.sleep(1000)
        for _ in range(3):
            await cluster.world.app.maintenance.session_closer.close_sessions()
        final = await cluster.world.ledger.records(OWNER, response.id)
        assert {each.charge.status for each in final} == {AttemptStatus.CLOSED}
        (session,) = await cluster.world.app.maintenance.session_closer.billing.closed_sessions(cold_gpu(COLD))
        billed = (session.last_end + 600 - session.started) * float(GPU_PRICE.amount)
        assert float(turn_cost(final)) == pytest.approx(billed, abs=0.0001)

    in_no_time(story())
