"""Is demand kept in few documents, and read as it was, and is a rule in force as soon as it is adopted?"""

import asyncio
import threading
from copy import replace
from decimal import Decimal
from typing import Any, ClassVar, override

import pytest

from clients.storage.port import Document
from domain.fleet.catalog import ColdStart
from domain.routing.rent_or_buy import Rule
from domain.routing.rules.rule_choice import RuleChoice
from state.fleet.demand_log import HOUR_S, KEPT_S, DemandLog, part_length_s
from state.fleet.fleet_counters import FleetCounters
from state.fleet.rental_rules import REFRESH_S, RentalRules
from state.fleet.state_documents import FLEET
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import backend

GPU = replace(backend("gpu"), cold_start=ColdStart(scales_to_zero=True, p50_s=60, p99_s=120, idle_s=600))
CHOICE = RuleChoice(
    rule=Rule(0.6, 0.3, 0.5), at=1.0, second_usd=0.001, turns=300, reason="cheap", dollars={"never": 2.0}
)


async def test_turns_of_one_part_add_up_and_those_of_others_stay_apart() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    log = DemandLog(store, clock, FleetCounters(store))
    await log.add(GPU, Decimal("0.010000001"), busy_s=2.0)
    await log.add(GPU, Decimal("0.02"), busy_s=4.0)
    clock.advance(3 * part_length_s(GPU))
    await log.add(GPU, Decimal("0.03"), busy_s=1.5)
    found = await log.observed(GPU)
    assert found.turns == 3
    assert [(round(part.saved, 9), part.busy_s) for part in found.parts] == [(0.030000001, 3.0), (0.03, 1.5)]
    assert found.parts[1].at - found.parts[0].at == 3 * part_length_s(GPU)


async def test_four_weeks_are_kept_in_one_document_an_hour() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    log = DemandLog(store, clock, FleetCounters(store))
    for _ in range(30):
        for _ in range(4):
            await log.add(GPU, Decimal("0.01"), busy_s=1.0)
            clock.advance(60)
        clock.advance(24 * HOUR_S - 240)
    found = await log.observed(GPU)
    assert 27 * 4 <= found.turns <= 28 * 4
    assert found.parts == sorted(found.parts)
    assert len(store.rows(FLEET)) <= 28 + 1
    clock.advance(KEPT_S)
    assert (await log.observed(GPU)).turns == 0


class ThreadedBody(dict[str, Any]):
    """The body of a document that knows in which threads it was read."""

    threads: ClassVar[set[int]] = set()

    @override
    def items(self) -> Any:
        self.threads.add(threading.get_ident())
        return super().items()


class ManyHours(MemoryStore):
    """A store that has 30 hours of demand."""

    @override
    async def list(self, *args: Any, **options: Any) -> list[Document]:
        body = {"part_s": 15, "turns_0": 1, "nanos_0": 1, "work_ms_0": 1}
        return [Document(id=f"demand_{hour:012d}", body=ThreadedBody(body), etag="1") for hour in range(30)]


async def test_many_hours_are_not_read_in_the_thread_of_the_event_loop() -> None:
    clock = FakeClock()
    store = ManyHours(clock)
    found = await DemandLog(store, clock, FleetCounters(store)).observed(GPU)
    assert found.turns == 2 * 30
    assert ThreadedBody.threads
    assert threading.get_ident() not in ThreadedBody.threads


async def test_parallel_turns_are_all_counted() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    logs = [DemandLog(store, clock, FleetCounters(store)) for _ in range(40)]
    await asyncio.gather(*(log.add(GPU, Decimal("0.001"), busy_s=1.0) for log in logs))
    found = await DemandLog(store, clock, FleetCounters(store)).observed(GPU)
    assert found.turns == 40
    assert sum(part.saved for part in found.parts) == pytest.approx(0.04)


async def test_a_process_sees_the_rule_that_another_one_adopts_within_minutes() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    here, there = RentalRules(store, clock), RentalRules(store, clock)
    assert await here.in_force((GPU,)) == {}
    await there.adopt(GPU, CHOICE)
    assert await there.in_force((GPU,)) == {"gpu": CHOICE}
    clock.advance(REFRESH_S)
    assert await here.in_force((GPU,)) == {"gpu": CHOICE}
    later = replace(CHOICE, at=2.0)
    await here.adopt(GPU, later)
    assert await here.in_force((GPU,)) == {"gpu": later}
