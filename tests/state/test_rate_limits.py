"""Do many requests on many instances stay within the rate limits, with one document for each tenant?"""

import asyncio
from collections.abc import Sequence
from copy import replace
from pathlib import Path
from random import Random

import pytest

from clients.storage.port import Container, DocumentKey, DocumentStore
from clients.storage.sqlite.store import SqliteStore
from domain.errors import RateLimited, Retryable
from domain.identity.owners import Owner
from domain.ids import member_id
from domain.log.events import EventKind, LogEvent, ResponseStatus
from domain.turns.rate_limits import RateLimit, RateLimits, RateLimitUsage
from domain.turns.response import Response, ResponseOptions
from domain.turns.webhook_events import WebhookEndpoints
from state.money.limit_changes import ChangedLimits
from state.rate_limits import ADMISSION_S, CHECK_AGAIN_S, DOCUMENT, MANY, RateLimiter
from state.turns.responses import TurnStore
from tests.checks import every
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import CrashError, Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER

NEIGHBOUR = Owner(tenant=OWNER.tenant, subject="user:neighbour")
STRANGER = Owner(tenant="99999999-9999-9999-9999-999999999999", subject=OWNER.subject)
LIMITS = RateLimits(
    owner=RateLimit(per_minute=6000, burst=1000, running=5), tenant=RateLimit(per_minute=6000, burst=1000, running=20)
)


def instance(store: DocumentStore, clock: FakeClock, limits: RateLimits = LIMITS) -> RateLimiter:
    turns, changes = TurnStore(store, clock, WebhookEndpoints()), ChangedLimits(store, clock)
    return RateLimiter(store=store, turns=turns, clock=clock, limits=limits, changes=changes)


def ids(clock: FakeClock, count: int) -> list[str]:
    return [member_id("resp", thread=clock.token(), token=clock.token()) for _ in range(count)]


async def record(store: DocumentStore, clock: FakeClock, identifier: str, owner: Owner = OWNER) -> None:
    response = Response(
        id=identifier,
        owner=owner,
        created_at=clock.now(),
        deadline_at=clock.now() + 600,
        options=ResponseOptions(model="m"),
    )
    await TurnStore(store, clock, WebhookEndpoints()).admit(response, (), (LogEvent(kind=EventKind.CREATED),))


async def end(store: DocumentStore, clock: FakeClock, identifier: str, owner: Owner = OWNER) -> None:
    await TurnStore(store, clock, WebhookEndpoints()).finish(owner, identifier, status=ResponseStatus.CANCELLED)


async def enter_all(limits: RateLimiter, identifiers: Sequence[str], owner: Owner = OWNER) -> list[str]:
    """Return those that were let in."""
    outcomes = await asyncio.gather(*(limits.enter(owner, each) for each in identifiers), return_exceptions=True)
    assert every(outcome is None or isinstance(outcome, RateLimited) for outcome in outcomes), outcomes
    return [each for each, outcome in zip(identifiers, outcomes, strict=True) if outcome is None]


async def usage(store: DocumentStore) -> RateLimitUsage:
    found = await store.read(DocumentKey(container=Container.MONEY, parts=(OWNER.tenant,)), DOCUMENT)
    return RateLimitUsage.from_document(found.body) if found else RateLimitUsage()


async def test_a_turn_costs_one_read_and_one_write_and_requests_together_share_them() -> None:
    clock = FakeClock()
    store = FlakyStore(MemoryStore(clock), Random(0))  # noqa: S311 - a test must repeat
    limits = instance(store, clock)
    await limits.changes.current(OWNER.tenant)
    store.calls.clear()
    await limits.enter(OWNER, ids(clock, 1)[0])
    assert [call.name for call in store.calls] == ["read", "commit"]
    await asyncio.gather(
        *(limits.enter(Owner(tenant=OWNER.tenant, subject=f"u{n}"), one) for n, one in enumerate(ids(clock, 8)))
    )
    assert len(store.calls) <= 6


async def test_running_turns_are_counted_by_their_responses() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    limits = instance(store, clock)
    running = ids(clock, 5)
    assert await enter_all(limits, running) == running
    for each in running:
        await record(store, clock, each)
    clock.advance(ADMISSION_S)
    another, one_more = ids(clock, 2)
    with pytest.raises(RateLimited) as caught:
        await limits.enter(OWNER, another)
    assert caught.value.delay_s > 0
    await limits.enter(NEIGHBOUR, one_more)
    await end(store, clock, running[2])
    clock.advance(CHECK_AGAIN_S)
    await limits.enter(OWNER, another)
    assert running[2] not in (await usage(store)).running


async def test_an_owner_at_the_limit_does_not_cause_a_check_on_every_request() -> None:
    clock = FakeClock()
    store = FlakyStore(MemoryStore(clock), Random(0))  # noqa: S311 - a test must repeat
    limits = instance(store, clock)
    running = ids(clock, 5)
    await enter_all(limits, running)
    before = len(store.calls)
    assert await enter_all(limits, ids(clock, 50)) == []
    assert len(store.calls) - before <= 2 + len(running)
    await enter_all(limits, ids(clock, 50))
    assert len(store.calls) - before <= 4 + len(running)


async def test_a_turn_that_was_never_created_counts_for_a_minute() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    limits = instance(store, clock)
    await enter_all(limits, ids(clock, 5))
    clock.advance(ADMISSION_S - 1)
    assert await enter_all(limits, ids(clock, 1)) == []
    clock.advance(1)
    assert len(await enter_all(limits, ids(clock, 1))) == 1


async def test_a_turn_that_was_rejected_later_counts_no_more_until_it_is_repeated() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    limits = instance(store, clock)
    running = ids(clock, 5)
    await enter_all(limits, running)
    limits.leave(OWNER, running[0])
    (another,) = ids(clock, 1)
    await limits.enter(OWNER, another)
    with pytest.raises(RateLimited):
        await limits.enter(OWNER, running[0])
    limits.leave(OWNER, another)
    await limits.enter(OWNER, running[0])
    assert set((await usage(store)).running) == set(running)


async def test_ended_turns_are_removed_in_the_background() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    limits = instance(
        store,
        clock,
        replace(LIMITS, owner=replace(LIMITS.owner, running=1000), tenant=replace(LIMITS.tenant, running=1000)),
    )
    for each in ids(clock, 10 * MANY):
        await limits.enter(OWNER, each)
        await record(store, clock, each)
        await end(store, clock, each)
        await limits.limiter(OWNER).running_check.result()
    assert len((await usage(store)).running) <= MANY + 2


async def test_a_tenants_limits_are_its_own() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    limits = instance(store, clock)
    await enter_all(limits, ids(clock, 5))
    await limits.enter(STRANGER, ids(clock, 1)[0])


async def test_a_repeated_turn_counts_once_on_any_instance() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    (one,) = ids(clock, 1)
    for limits in (instance(store, clock), instance(store, clock)):
        await limits.enter(OWNER, one)
        await limits.enter(OWNER, one)
    assert list((await usage(store)).running) == [one]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_instances_that_race_stay_within_the_limits(kind: str, tmp_path: Path) -> None:
    clock = FakeClock()
    store = MemoryStore(clock) if kind == "memory" else SqliteStore(tmp_path / "app.db", clock)
    instances = [instance(store, clock) for _ in range(4)]
    owners = [OWNER, NEIGHBOUR, *(Owner(tenant=OWNER.tenant, subject=f"user:{number}") for number in range(6))]
    wishes = [(owner, one, each) for owner in owners for one in instances for each in ids(clock, 10)]
    Random(0).shuffle(wishes)  # noqa: S311 - a test must repeat
    outcomes = await asyncio.gather(*(one.enter(owner, each) for owner, one, each in wishes), return_exceptions=True)
    running = (await usage(store)).running
    admitted = {each for (_, _, each), outcome in zip(wishes, outcomes, strict=True) if outcome is None}
    assert every(outcome is None or isinstance(outcome, Retryable) for outcome in outcomes)
    assert admitted <= running.keys()
    assert len(running) == LIMITS.tenant.running
    assert max(sum(turn.subject == owner.subject for turn in running.values()) for owner in owners) <= 5
    assert min(sum(turn.subject == owner.subject for turn in running.values()) for owner in owners) >= 1
    await store.close()


async def test_a_known_rejection_reads_nothing() -> None:
    clock = FakeClock()
    store = FlakyStore(MemoryStore(clock), Random(0))  # noqa: S311 - a test must repeat
    limits = instance(store, clock, replace(LIMITS, owner=RateLimit(per_minute=60, burst=2, running=100)))
    limits.check(OWNER)
    await enter_all(limits, ids(clock, 2))
    before = len(store.calls)
    with pytest.raises(RateLimited) as caught:
        limits.check(OWNER)
    limits.check(NEIGHBOUR)
    assert len(store.calls) == before
    clock.advance(caught.value.delay_s)
    limits.check(OWNER)
    await limits.enter(OWNER, ids(clock, 1)[0])


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER])
@pytest.mark.parametrize("number", [0, 1])
async def test_a_store_that_fails_admits_no_turn_and_a_repeat_counts_once(fault: Fault, number: int) -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    limits = instance(FlakyStore(store, Random(0), Faults(at={number: fault})), clock)  # noqa: S311 - a test must repeat
    together = ids(clock, 3)
    outcomes = await asyncio.gather(*(limits.enter(OWNER, each) for each in together), return_exceptions=True)
    assert any(isinstance(outcome, Retryable) for outcome in outcomes)
    for each in together:
        await limits.enter(OWNER, each)
    assert set((await usage(store)).running) == set(together)


async def test_a_process_that_dies_in_admission_costs_no_more_than_a_minute() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    for _ in range(5):
        dying = instance(FlakyStore(store, Random(0), Faults(at={2: Fault.CRASH_AFTER})), clock)  # noqa: S311 - as above
        with pytest.raises(CrashError):
            await dying.enter(OWNER, ids(clock, 1)[0])
    limits = instance(store, clock)
    assert await enter_all(limits, ids(clock, 1)) == []
    clock.advance(ADMISSION_S)
    assert len(await enter_all(limits, ids(clock, 1))) == 1


async def test_a_cancelled_caller_blocks_no_other() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    limits = instance(store, clock)
    first, second = (asyncio.ensure_future(limits.enter(OWNER, each)) for each in ids(clock, 2))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert len((await usage(store)).running) in (1, 2)
