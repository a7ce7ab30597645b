"""Does the sweep finish everything that a crash can leave, and change nothing that is alive?"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import replace
from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.maintenance.sweep import Sweep, SweepDelays
from clients.storage.port import Container, Document, DocumentKey, FoundDocument
from domain.errors import NotFound, Unavailable
from domain.log.events import EventKind, ResponseStatus, Slot
from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.budgets import HELD, TAKEN
from domain.money.ledger_records import AttemptRecord, ReservationStatus
from domain.turns.response import Response
from state.money.ledger import money_key
from state.retention.deletion import Retention
from tests.checks import at_most
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.orchestration import FakeOrchestrations
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, THREAD, World, backend

DELAYS = SweepDelays(unbegun_s=30.0, silent_s=900.0, unsettled_s=60.0)
LONG_S = 3600.0
RESERVED = ReservationStatus.OPEN
SETTLED, RELEASED = ReservationStatus.SETTLED, ReservationStatus.RELEASED


class Host(FakeOrchestrations):
    """Runs a started orchestration at once. `failures` are raised for calls about these responses."""

    def __init__(self, world: World, failures: Mapping[str, Exception] | None = None) -> None:
        super().__init__()
        self.world = world
        self.failures = failures or {}

    async def start(self, response: Response) -> None:
        await super().start(response)
        self.raise_failure(response.id)
        await self.world.run(response, execution=len(self.started))

    async def is_running(self, instance_id: str) -> bool:
        self.raise_failure(instance_id)
        return await super().is_running(instance_id)

    def raise_failure(self, response_id: str) -> None:
        if response_id in self.failures:
            raise self.failures[response_id]


def world_of(store: MemoryStore | None = None) -> World:
    clock = FakeClock() if store is None else store.clock
    assert isinstance(clock, FakeClock)
    fake = FakeBackend(says("four and twenty"))
    return World(store=store or MemoryStore(clock), clock=clock, backends={"main": (backend("main"), fake)})


def sweep_of(world: World) -> Sweep:
    return world.sweep(DELAYS)


async def swept(world: World, host: Host, times: int = 2) -> None:
    for _ in range(times):
        await sweep_of(world).sweep(host)
        world.clock.advance(60)


async def only_reserved(world: World) -> str:
    """Leave what a crash between the reservation and the response leaves."""
    response_id = f"resp_{THREAD}{world.clock.token()}"
    await world.ledger.reserve(OWNER, response_id, Decimal("0.01"))
    return response_id


async def never_started(world: World) -> str:
    return (await world.admit("hello")).id


async def lost_in_progress(world: World) -> str:
    """Leave what a lost task hub leaves of a turn that was being answered."""
    response = await world.admit("hello")
    await world.turns.begin(OWNER, response.id, execution="lost")
    await world.ledger.open_attempt(OWNER, attempt_of(response.id, world))
    return response.id


async def ended_unsettled(world: World) -> str:
    response_id = await lost_in_progress(world)
    await world.turns.finish(OWNER, response_id, status=ResponseStatus.CANCELLED)
    return response_id


async def deleted_unsettled(world: World) -> str:
    response_id = await lost_in_progress(world)
    await Retention(world.store, world.turns, world.clock).delete_response(OWNER, response_id)
    return response_id


async def cancelled_before_it_began(world: World) -> str:
    response = await world.admit("hello")
    await world.turns.finish(OWNER, response.id, status=ResponseStatus.CANCELLED)
    return response.id


def attempt_of(response_id: str, world: World) -> AttemptRecord:
    return AttemptRecord(
        response=response_id,
        subject=OWNER.subject,
        number=1,
        backend="main",
        price="tokens",
        started_at=world.clock.now(),
        charge=AttemptCharge(reserved=Decimal("0.002")),
    )


async def test_an_attempt_that_opened_after_its_turn_was_settled_is_closed_and_reserves_nothing() -> None:
    world = world_of()
    response_id = await ended_unsettled(world)
    await world.ledger.settle(OWNER, response_id)
    await world.ledger.open_attempt(OWNER, replace(attempt_of(response_id, world), number=2))
    host = Host(world)
    host.running = {response_id}
    world.clock.advance(LONG_S)
    await swept(world, host)
    assert (await world.ledger.attempts(OWNER, response_id))[1].charge.status is AttemptStatus.OPEN
    host.running = set()
    await swept(world, host)
    late = (await world.ledger.attempts(OWNER, response_id))[1]
    assert (late.charge.status, late.progress.result, late.charge.cost) == (
        AttemptStatus.CLOSED,
        "lost",
        Decimal("0.002"),
    )
    counters = await world.store.list(money_key(OWNER.tenant), prefix="budget_")
    assert {(each.body[TAKEN], each.body[HELD]) for each in counters} == {(4_000_000, 0)}


@dataclass(frozen=True, slots=True)
class Cleared:
    """A leftover after the sweep: its response (None: there is none), its reservation, its cost, its open attempts."""

    status: ResponseStatus | None
    reservation: ReservationStatus
    cost: Decimal | None
    open_attempts: int = 0


type Leaving = Callable[[World], Awaitable[str]]
LEFTOVERS: Mapping[Leaving, Cleared] = {
    only_reserved: Cleared(None, RELEASED, Decimal(0)),
    never_started: Cleared(ResponseStatus.COMPLETED, SETTLED, Decimal("0.000013")),
    lost_in_progress: Cleared(ResponseStatus.FAILED, SETTLED, Decimal("0.002")),
    ended_unsettled: Cleared(ResponseStatus.CANCELLED, SETTLED, Decimal("0.002")),
    deleted_unsettled: Cleared(None, SETTLED, Decimal("0.002")),
    cancelled_before_it_began: Cleared(ResponseStatus.CANCELLED, SETTLED, Decimal(0)),
}


async def state_of(world: World, response_id: str) -> Cleared:
    try:
        status = (await world.turns.read(OWNER, response_id)).status
    except NotFound:
        status = None
    reservation = await world.ledger.reservation(OWNER, response_id)
    assert reservation is not None
    attempts = await world.ledger.attempts(OWNER, response_id)
    open_attempts = sum(each.charge.status is AttemptStatus.OPEN for each in attempts)
    return Cleared(status, reservation.status, reservation.cost, open_attempts)


@pytest.mark.parametrize("leave", LEFTOVERS, ids=lambda leave: leave.__name__)
async def test_each_kind_of_leftover_is_cleared_within_two_sweeps(leave: Leaving) -> None:
    world = world_of()
    response_id = await leave(world)
    world.clock.advance(LONG_S / 4 + 60)
    await swept(world, Host(world))
    assert await state_of(world, response_id) == LEFTOVERS[leave]


@pytest.mark.slow
@settings(max_examples=at_most(25), deadline=None)
@given(leaves=st.lists(st.sampled_from(list(LEFTOVERS)), max_size=12), together=st.booleans())
async def test_all_leftovers_are_cleared_together_by_sequential_or_parallel_sweeps(
    leaves: Sequence[Leaving],
    together: bool,  # noqa: FBT001 - a column of the table
) -> None:
    world = world_of()
    left = [(await leave(world), LEFTOVERS[leave]) for leave in leaves]
    world.clock.advance(LONG_S / 4 + 60)
    host = Host(world)
    if together:
        await asyncio.gather(*(sweep_of(world).sweep(host) for _ in range(3)))
    await swept(world, host)
    assert [await state_of(world, response_id) for response_id, _ in left] == [cleared for _, cleared in left]
    assert await world.ledger.open_reservations(before=world.clock.now() + 1) == ()


async def test_a_lost_turn_fails_with_a_message_that_it_was_lost() -> None:
    world = world_of()
    response_id = await lost_in_progress(world)
    world.clock.advance(LONG_S)
    await swept(world, Host(world), 1)
    log = await world.turns.transcript(OWNER, response_id)
    assert log.ending
    assert (log.ending.code, log.ending.message) == (
        "server_error",
        "The turn was lost and could not be recovered.",
    )


async def alive_of_each_kind(world: World, host: Host) -> Sequence[str]:
    """Leave turns whose orchestrations run, a turn that is about to start, and a new reservation."""
    ids = [await leave(world) for leave in (lost_in_progress, ended_unsettled)]
    host.running = set(ids)
    world.clock.advance(LONG_S)
    return [*ids, await never_started(world), await only_reserved(world)]


async def test_nothing_alive_is_changed() -> None:
    world = world_of()
    host = Host(world)
    ids = await alive_of_each_kind(world, host)
    before = dict(world.store.partitions) if isinstance(world.store, MemoryStore) else {}
    await sweep_of(world).sweep(host)
    assert isinstance(world.store, MemoryStore)
    assert world.store.partitions == before
    assert host.started == []
    assert len(ids) == 4


async def test_a_turn_that_still_writes_is_not_lost_though_its_orchestration_seems_gone() -> None:
    world = world_of()
    response_id = await lost_in_progress(world)
    world.clock.advance(LONG_S)
    log = await world.turns.transcript(OWNER, response_id)
    slot = Slot(number=log.next_slot, writer="infer:1", first=log.next_sequence, at=world.clock.now() - 10)
    await world.turns.append(OWNER, response_id, slot)
    await swept(world, Host(world), 1)
    assert (await world.turns.read(OWNER, response_id)).status is ResponseStatus.IN_PROGRESS


async def test_the_reservation_of_a_running_turn_stays_open() -> None:
    world = world_of()
    response_id = await lost_in_progress(world)
    world.clock.advance(120)
    await swept(world, Host(world), 1)
    assert (await state_of(world, response_id)).reservation is RESERVED


async def test_a_turn_that_is_started_by_every_sweep_runs_once() -> None:
    world = world_of()
    response_id = await never_started(world)
    world.clock.advance(60)
    await asyncio.gather(*(sweep_of(world).sweep(Host(world)) for _ in range(4)))
    events = [event.kind for slot in await world.turns.slots(OWNER, response_id) for event in slot.events]
    assert events.count(EventKind.STARTED) == events.count(EventKind.ENDED) == 1


@pytest.mark.parametrize("error", [Unavailable("the host did not answer"), ValueError("unexpected")])
@pytest.mark.parametrize("leave", LEFTOVERS, ids=lambda leave: leave.__name__)
async def test_a_leftover_that_cannot_be_swept_does_not_stop_the_others(leave: Leaving, error: Exception) -> None:
    world = world_of()
    failing = await leave(world)
    left = [(await each(world), LEFTOVERS[each]) for each in LEFTOVERS]
    world.clock.advance(LONG_S / 4 + 60)
    await swept(world, Host(world, {failing: error}))
    assert [await state_of(world, response_id) for response_id, _ in left] == [cleared for _, cleared in left]


class HalfStore(MemoryStore):
    """A store that fails the sweep's queries of one container, or returns a document that cannot be parsed."""

    def __init__(self, clock: FakeClock, *, broken: Container, garbled: bool) -> None:
        super().__init__(clock)
        self.broken = broken
        self.garbled = garbled

    async def find(
        self, container: Container, *, kind: str, status: str, before: float, limit: int = 100
    ) -> Sequence[FoundDocument]:
        if container is not self.broken:
            return await super().find(container, kind=kind, status=status, before=before, limit=limit)
        if not self.garbled:
            raise Unavailable("the store did not answer")
        key = DocumentKey(container=container, parts=("t",))
        return [FoundDocument(key=key, document=Document(id="x", body={"kind": kind, "v": 0}, etag="1"))]


@pytest.mark.parametrize("garbled", [False, True])
@pytest.mark.parametrize(("broken", "leave"), [(Container.TURNS, only_reserved), (Container.MONEY, lost_in_progress)])
async def test_a_failed_query_does_not_stop_the_other_queries(
    broken: Container, leave: Leaving, *, garbled: bool
) -> None:
    world = world_of(HalfStore(FakeClock(), broken=broken, garbled=garbled))
    response_id = await leave(world)
    world.clock.advance(LONG_S)
    await swept(world, Host(world))
    was = LEFTOVERS[leave]
    expected = was if broken is Container.TURNS else replace(was, reservation=RESERVED, cost=None, open_attempts=1)
    assert await state_of(world, response_id) == expected


async def test_a_failure_is_logged_with_the_response_id_and_without_content(caplog: pytest.LogCaptureFixture) -> None:
    world = world_of()
    one, other = await never_started(world), await never_started(world)
    world.clock.advance(60)
    await swept(world, Host(world, {one: ValueError("a secret"), other: Unavailable("no answer")}), 1)
    assert f"sweep: could not start {one}: ValueError" in caplog.messages
    assert f"sweep: could not start {other}: no answer" in caplog.messages
    assert "a secret" not in caplog.text
