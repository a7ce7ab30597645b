"""Is money reserved, spent and settled once, however often steps are repeated and run in parallel?"""

import asyncio
from collections.abc import Awaitable, Callable
from copy import replace
from decimal import Decimal
from random import Random

import pytest

from domain.errors import Conflict, Retryable
from domain.identity.owners import Owner
from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.budgets import Budgets
from domain.money.ledger_records import AttemptRecord, Reservation, ReservationStatus
from domain.money.overheads import OverheadCost
from state.money.ledger import Ledger, money_key
from state.money.usage_rows import UsageRows
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import Fault, Faults, FlakyStore, MemoryStore

OWNER = Owner(tenant="tenant", subject="user:1")
RESPONSE = "resp_1"
HELD = Decimal("0.0125")
LOST = (Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER)


@pytest.fixture
def ledger(store: MemoryStore, clock: FakeClock) -> Ledger:
    return Ledger(store, clock, Budgets())


def attempt(number: int = 1, *, response: str = RESPONSE, reserved: str = "0.01") -> AttemptRecord:
    return AttemptRecord(
        response=response,
        subject=OWNER.subject,
        number=number,
        backend="main",
        price="tokens",
        started_at=1000.0 + number,
        charge=AttemptCharge(reserved=Decimal(reserved)),
    )


def closed(record: AttemptRecord, cost: str, result: str = "done") -> AttemptRecord:
    return replace(
        record,
        charge=replace(record.charge, status=AttemptStatus.CLOSED, cost=Decimal(cost)),
        progress=replace(record.progress, ended_at=2000.0, result=result),
    )


async def held(ledger: Ledger) -> Reservation:
    found = await ledger.reservation(OWNER, RESPONSE)
    assert found is not None
    return found


async def test_a_repeated_reservation_counts_once(ledger: Ledger) -> None:
    await ledger.reserve(OWNER, RESPONSE, HELD)
    await ledger.reserve(OWNER, RESPONSE, Decimal(9))
    assert (await held(ledger)).amount == HELD


async def test_an_unknown_response_has_no_reservation(ledger: Ledger) -> None:
    assert await ledger.reservation(OWNER, RESPONSE) is None
    await ledger.release(OWNER.tenant, RESPONSE)
    assert (await ledger.settle(OWNER, RESPONSE)).cost == 0
    assert await ledger.reservation(OWNER, RESPONSE) is None


async def test_a_retried_request_opens_its_released_reservation_again(ledger: Ledger, clock: FakeClock) -> None:
    await ledger.reserve(OWNER, RESPONSE, HELD)
    await ledger.release(OWNER.tenant, RESPONSE)
    clock.advance(90)
    await ledger.reserve(OWNER, RESPONSE, HELD)
    assert await held(ledger) == Reservation(
        response=RESPONSE, subject=OWNER.subject, amount=HELD, at=clock.now(), status=ReservationStatus.OPEN
    )


async def test_a_settled_reservation_is_never_reopened_or_released(ledger: Ledger) -> None:
    await ledger.reserve(OWNER, RESPONSE, HELD)
    await ledger.close_attempt(OWNER, closed(await ledger.open_attempt(OWNER, attempt()), "0.002"))
    assert (await ledger.settle(OWNER, RESPONSE)).cost == Decimal("0.002")
    settled = await held(ledger)
    await ledger.reserve(OWNER, RESPONSE, HELD)
    await ledger.release(OWNER.tenant, RESPONSE)
    assert await held(ledger) == settled


async def test_the_first_settlement_stays(ledger: Ledger, clock: FakeClock) -> None:
    await ledger.reserve(OWNER, RESPONSE, HELD)
    await ledger.close_attempt(OWNER, closed(await ledger.open_attempt(OWNER, attempt()), "0.002"))
    await ledger.settle(OWNER, RESPONSE)
    settled = await held(ledger)
    clock.advance(60)
    await ledger.open_attempt(OWNER, attempt(2))
    assert (await ledger.settle(OWNER, RESPONSE)).cost == Decimal("0.002")
    assert await held(ledger) == settled


async def test_a_turn_that_ran_on_a_released_reservation_is_still_paid_for(ledger: Ledger) -> None:
    await ledger.reserve(OWNER, RESPONSE, HELD)
    await ledger.release(OWNER.tenant, RESPONSE)
    await ledger.close_attempt(OWNER, closed(await ledger.open_attempt(OWNER, attempt()), "0.002"))
    assert (await ledger.settle(OWNER, RESPONSE)).cost == Decimal("0.002")
    assert (await held(ledger)).cost == Decimal("0.002")


async def test_a_turn_costs_its_attempts_and_one_that_never_closed_its_reservation(ledger: Ledger) -> None:
    await ledger.reserve(OWNER, RESPONSE, HELD)
    first = await ledger.open_attempt(OWNER, attempt(1))
    await ledger.open_attempt(OWNER, attempt(2, reserved="0.007"))
    await ledger.open_attempt(OWNER, attempt(1, response="resp_12"))
    await ledger.close_attempt(OWNER, closed(first, "0.001"))
    assert (await ledger.settle(OWNER, RESPONSE)).cost == Decimal("0.008")
    lost = (await ledger.attempts(OWNER, RESPONSE))[1]
    assert (lost.charge.status, lost.charge.cost, lost.progress.result) == (
        AttemptStatus.CLOSED,
        Decimal("0.007"),
        "lost",
    )


async def test_a_redelivery_keeps_the_first_start_and_is_counted(ledger: Ledger) -> None:
    await ledger.open_attempt(OWNER, attempt())
    again = await ledger.open_attempt(OWNER, replace(attempt(), started_at=9000.0))
    assert (again.started_at, again.progress.deliveries, again.charge.status) == (1001.0, 2, AttemptStatus.OPEN)
    assert await ledger.attempts(OWNER, RESPONSE) == (again,)


async def test_a_run_that_a_later_run_replaced_closes_nothing(ledger: Ledger) -> None:
    first = await ledger.open_attempt(OWNER, attempt())
    second = await ledger.open_attempt(OWNER, attempt())
    await ledger.close_attempt(OWNER, closed(first, "0.001", "ended"))
    assert await ledger.attempts(OWNER, RESPONSE) == (second,)
    await ledger.close_attempt(OWNER, closed(second, "0.004"))
    await ledger.close_attempt(OWNER, closed(first, "0.001", "ended"))
    (standing,) = await ledger.attempts(OWNER, RESPONSE)
    assert (standing.charge.cost, standing.progress.result) == (Decimal("0.004"), "done")


async def test_an_attempt_that_was_never_opened_is_not_closed(ledger: Ledger) -> None:
    await ledger.close_attempt(OWNER, closed(attempt(), "0.001"))
    assert await ledger.attempts(OWNER, RESPONSE) == ()


async def test_deliveries_at_once_are_all_counted(ledger: Ledger) -> None:
    await asyncio.gather(*(ledger.open_attempt(OWNER, attempt()) for _ in range(12)))
    (record,) = await ledger.attempts(OWNER, RESPONSE)
    assert record.progress.deliveries == 12


async def test_parallel_settlements_return_the_same_cost(ledger: Ledger) -> None:
    await ledger.reserve(OWNER, RESPONSE, HELD)
    await ledger.open_attempt(OWNER, attempt())
    settlements = await asyncio.gather(*(ledger.settle(OWNER, RESPONSE) for _ in range(8)))
    assert {each.cost for each in settlements} == {Decimal("0.01")}
    assert sum(each.is_first for each in settlements) == 1


async def test_an_attempt_that_is_deleted_while_it_is_reopened_is_a_conflict(ledger: Ledger) -> None:
    with pytest.raises(Conflict):
        await ledger.reopen(money_key(OWNER.tenant), attempt())


async def test_old_open_records_of_all_tenants_are_found_with_their_owner(ledger: Ledger, clock: FakeClock) -> None:
    owners = [Owner(tenant=tenant, subject=subject) for tenant in ("a", "b") for subject in ("user:1", "app:2")]
    for number, owner in enumerate(owners):
        await ledger.reserve(owner, f"resp_{number}", HELD)
    clock.advance(61)
    await ledger.reserve(OWNER, "resp_young", HELD)
    await ledger.settle(owners[0], "resp_0")
    found = await ledger.open_reservations(before=clock.now() - 60)
    assert {(owner, one.response) for owner, one in found} == {
        (owner, f"resp_{number}") for number, owner in enumerate(owners) if number
    }


async def persistently(step: Callable[[], Awaitable[object]]) -> None:
    """Repeat a step as the host does."""
    for _ in range(200):
        try:
            await step()
        except Retryable:
            continue
        return
    raise TimeoutError("the step never succeeded")


@pytest.mark.parametrize("seed", range(40))
async def test_lost_answers_count_no_money_twice(store: MemoryStore, clock: FakeClock, seed: int) -> None:
    flaky = FlakyStore(store, Random(seed), Faults(rate=0.4, kinds=LOST))  # noqa: S311 - a test's seed
    ledger = Ledger(flaky, clock, Budgets())
    opened: list[AttemptRecord] = []

    async def open_one() -> None:
        opened.append(await ledger.open_attempt(OWNER, attempt()))

    await persistently(lambda: ledger.reserve(OWNER, RESPONSE, HELD))
    await persistently(open_one)
    await persistently(lambda: ledger.close_attempt(OWNER, closed(opened[-1], "0.003")))
    await persistently(lambda: ledger.settle(OWNER, RESPONSE))
    await persistently(lambda: ledger.settle(OWNER, RESPONSE))
    sure = Ledger(store, clock, Budgets())
    assert (await held(sure)).cost == Decimal("0.003")
    assert len(await sure.attempts(OWNER, RESPONSE)) == 1


@pytest.mark.parametrize("seed", range(20))
async def test_overhead_is_counted_once_beside_every_backend(store: MemoryStore, clock: FakeClock, seed: int) -> None:
    flaky = FlakyStore(store, Random(seed), Faults(rate=0.4, kinds=LOST))  # noqa: S311 - a test's seed
    ledger, overhead = (
        Ledger(flaky, clock, Budgets()),
        OverheadCost(store=Decimal("0.001"), functions=Decimal("0.0002")),
    )
    await persistently(lambda: ledger.reserve(OWNER, RESPONSE, HELD))
    await persistently(lambda: ledger.settle(OWNER, RESPONSE, overhead))
    await persistently(lambda: ledger.settle(OWNER, RESPONSE, overhead))
    assert (await held(Ledger(store, clock, Budgets()))).overhead == overhead
    (row,) = await UsageRows(store).of_owner(OWNER, first="2027-01-15", last="2027-01-15")
    assert (row.counts["store"], row.counts["functions"], row.counts["attempts"]) == (1_000_000, 200_000, 0)
    assert (row.dimensions["backend"], row.dimensions["model"]) == ("", "")
