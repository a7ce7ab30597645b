"""Is rental spend counted exactly within its window, also by many writers at once?"""

import asyncio
from decimal import Decimal
from random import Random

import pytest

from benches.scale.metered_store import MeteredStore
from clients.clock import SystemClock
from clients.storage.port import Create, Delete
from domain.errors import Retryable
from state.fleet.rental_spend import AMOUNT, PARTS, RentalSpend
from state.fleet.state_documents import FLEET
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import backend

GPU = backend("gpu")
WINDOW_S = 600.0


async def test_rental_spend_begins_at_zero() -> None:
    clock = FakeClock()
    assert await RentalSpend(MemoryStore(clock), clock).total(GPU, window_s=WINDOW_S) == 0


async def test_rental_spend_adds_up_within_the_window_and_expires_after_it() -> None:
    clock = FakeClock()
    rent = RentalSpend(MemoryStore(clock), clock)
    for _ in range(6):
        await rent.add(GPU, Decimal("0.010000001"), window_s=WINDOW_S)
        clock.advance(90)
    assert await rent.total(GPU, window_s=WINDOW_S) == Decimal("0.060000006")
    clock.advance(250)
    assert Decimal("0.02") < await rent.total(GPU, window_s=WINDOW_S) < Decimal("0.05")
    clock.advance(WINDOW_S)
    assert await rent.total(GPU, window_s=WINDOW_S) == 0


async def test_each_backend_has_rental_spend_of_its_own() -> None:
    clock = FakeClock()
    rent = RentalSpend(MemoryStore(clock), clock)
    await rent.add(GPU, Decimal(1), window_s=WINDOW_S)
    assert await rent.total(backend("other"), window_s=WINDOW_S) == 0


async def test_a_damaged_counter_keeps_no_other_from_being_counted() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    rent, other = RentalSpend(store, clock), backend("other")
    damaged, whole = (rent.addition(each, Decimal(1), window_s=WINDOW_S, shared={}) for each in (GPU, other))
    await store.commit(FLEET, (Create(id=damaged.id, body={**damaged.body, AMOUNT: "much"}),))
    await rent.counters.add((damaged, whole))
    assert await rent.total(other, window_s=WINDOW_S) == 1
    assert await rent.total(GPU, window_s=WINDOW_S) == 0


async def test_only_the_document_that_is_missing_is_created() -> None:
    clock = FakeClock()
    memory = MemoryStore(clock)
    store = MeteredStore(memory, clock)
    rent, backends = RentalSpend(store, clock), [backend(f"b{number}") for number in range(20)]
    additions = [rent.addition(each, Decimal(1), window_s=WINDOW_S, shared={}) for each in backends]
    await rent.counters.add(additions)
    await memory.commit(FLEET, (Delete(id=additions[7].id),))
    store.calls.clear()
    await rent.counters.add(additions)
    assert store.calls == {"commit": 3}
    assert [await rent.total(each, window_s=WINDOW_S) for each in backends] == [2] * 7 + [1] + [2] * 12


async def test_parallel_additions_are_all_counted_in_few_documents() -> None:
    clock = SystemClock()
    store = MemoryStore(clock)
    payers = [RentalSpend(store, clock) for _ in range(50)]
    await asyncio.gather(*(one.add(GPU, Decimal("0.001"), window_s=WINDOW_S) for one in payers))
    assert await payers[0].total(GPU, window_s=WINDOW_S) == Decimal("0.050")
    assert sum(len(rows) for rows in store.partitions.values()) <= PARTS


async def test_a_store_that_does_not_answer_raises_and_counts_nothing() -> None:
    clock = FakeClock()
    flaky = FlakyStore(MemoryStore(clock), Random(0), Faults(rate=1.0, kinds=(Fault.UNAVAILABLE,)))  # noqa: S311 - a test's seed
    with pytest.raises(Retryable):
        await RentalSpend(flaky, clock).add(GPU, Decimal(1), window_s=WINDOW_S)
