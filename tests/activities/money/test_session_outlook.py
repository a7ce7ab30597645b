"""Does a provisional bill announce what its final amount will be?"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from api.rendering.bill import settled_sessions, shared_session
from domain.identity.owners import Owner
from domain.money.bill import bill_of
from domain.turns.response import Response
from state.money.session_outlooks import SharedSession
from tests.activities.cold_starts import Cluster, cluster_with, cold_of
from tests.domain.fleets import GPU
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import SleepingGpu
from tests.fakes.worlds import OWNER

STRANGER = Owner(tenant="another", subject=OWNER.subject)


@dataclass(slots=True, kw_only=True)
class GpuStory:
    """Turns on one GPU that starts in 5 s, in virtual time."""

    cluster: Cluster = field(default_factory=lambda: cluster_with(SleepingGpu(start_s=lambda: 5.0), cold_of(5.0)))

    async def turn(self, owner: Owner = OWNER) -> Response:
        response = await self.cluster.world.admit("hello", owner=owner)
        await self.cluster.respond(response)
        return response

    async def outlooks(self, response: Response) -> tuple[SharedSession, ...]:
        state = self.cluster.world.app.state
        records = await state.ledger.records(response.owner, response.id)
        return await state.session_outlooks.of(response.owner, records)

    async def end_session(self) -> None:
        await asyncio.sleep(GPU.idle_s + 1)
        await self.cluster.world.app.maintenance.session_closer.close_sessions()

    async def total(self, response: Response) -> Decimal:
        ledger = self.cluster.world.app.state.ledger
        records = await ledger.records(response.owner, response.id)
        bill = bill_of(records, None)
        return bill.total


def virtual(story: Callable[[GpuStory], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        await story(GpuStory())

    in_no_time(run())


def test_the_expected_amount_is_the_final_one_where_nobody_joins() -> None:
    async def story(gpu: GpuStory) -> None:
        response = await gpu.turn()
        (found,) = await gpu.outlooks(response)
        expected = sum((found.outlook.expected_of(each.id) for each in found.records), Decimal(0))
        assert found.outlook.in_all == expected < await gpu.total(response)
        await gpu.end_session()
        assert await gpu.total(response) == expected
        assert await gpu.outlooks(response) == ()

    virtual(story)


def test_the_bill_names_the_session_its_price_and_when_it_is_final() -> None:
    async def story(gpu: GpuStory) -> None:
        response = await gpu.turn()
        await asyncio.sleep(15)
        (found,) = await gpu.outlooks(response)
        explained = shared_session(found)
        now = gpu.cluster.clock.now()
        assert explained["backend"] == "gpu"
        assert explained["ends_at"] == found.outlook.session.last_end + GPU.idle_s
        assert explained["final_after"] == explained["ends_at"] + 60
        assert Decimal(explained["session_usd"]) == pytest.approx(
            GPU.amount * Decimal(now - explained["started_at"]), abs=GPU.amount
        )
        assert explained["session_usd"] < explained["expected_usd"] < explained["charged_usd"]
        assert explained["used_usd"] == explained["session_usd"]
        for amount in ("charged_usd", "used_usd", "expected_usd"):
            assert sum(Decimal(each[amount]) for each in explained["lines"]) == Decimal(explained[amount])
        assert explained["price"] == {"name": "gpu", "source": GPU.origin.source, "date": GPU.origin.date}
        assert "600 s after its last request" in explained["reason"]

    virtual(story)


def test_a_final_bill_shows_the_last_provisional_amount() -> None:
    async def story(gpu: GpuStory) -> None:
        response = await gpu.turn()
        before = await gpu.total(response)
        await gpu.end_session()
        (settled,) = settled_sessions(await gpu.cluster.world.app.state.ledger.records(response.owner, response.id))
        assert settled["backend"] == "gpu"
        assert Decimal(settled["provisional_usd"]) == before
        assert Decimal(settled["final_usd"]) == await gpu.total(response) < before
        assert Decimal(settled["difference_usd"]) == Decimal(settled["final_usd"]) - before
        assert "divided" in settled["reason"]

    virtual(story)


def test_the_bill_names_the_owners_other_turns_and_counts_those_of_others() -> None:
    async def story(gpu: GpuStory) -> None:
        first, second = [await gpu.turn() for _ in range(2)]
        await gpu.turn(STRANGER)
        (found,) = await gpu.outlooks(first)
        assert set(found.responses) == {first.id, second.id}
        assert found.others == 1

    virtual(story)
