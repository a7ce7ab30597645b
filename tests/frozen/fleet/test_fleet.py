"""Does this release read and write the documents of backends as the first release did?"""

from copy import replace
from decimal import Decimal

import pytest

from api.endpoints.reports.fleet import rule_object
from clients.storage.port import Container
from clients.storage.sqlite.store import SqliteStore
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Fleet
from domain.fleet.cold_start import FailedWarmUp, StartTimes, WarmUp
from domain.fleet.health import BackendHealth
from domain.fleet.instances.further import FurtherInstance, GrowthReason
from domain.fleet.instances.lease import CountLease
from domain.fleet.learned_speed import LearnedSpeed
from domain.fleet.load import Load, LoadPart, QueuePlace
from domain.fleet.warmth import Warmth
from domain.money.budgets import Budgets
from domain.money.costing import BillLine
from domain.money.prices import PriceComponent, PriceKind, PriceSource, TimePrice
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan
from domain.routing.rent_or_buy import Rule
from domain.routing.rules.replay import PastDemand
from domain.routing.rules.rule_choice import ObservedDemand, RuleChoice
from state.fleet.backend_state import BackendStates
from state.fleet.count_leases import CountLeases
from state.fleet.demand_log import DemandLog
from state.fleet.fleet_counters import FleetCounters
from state.fleet.rental_rules import RentalRules
from state.fleet.rental_spend import RentalSpend
from state.fleet.state_documents import STATE_ID, backend_key, part_id
from state.fleet_status import BackendSummary
from state.money.gpu_session_billing import GpuSessionBilling
from state.money.gpu_sessions import GpuSessions
from state.money.ledger import Ledger
from state.money.recent_sessions import RecentSessions
from state.money.session_documents import closed_id, read_session, span_id
from state.tools.durations import LearnedToolDurations
from state.tools.pins import ToolPins
from tests.fakes.clocks import FakeClock
from tests.fakes.worlds import backend
from tests.frozen.documents import as_json, frozen, frozen_json, insert, stored
from tests.frozen.objects import ATTEMPT, NOW, OWNER, RESPONSE_ID

BACKEND = replace(backend("gpu-l4"), price="l4")
PRICE = TimePrice(
    name="l4",
    origin=PriceSource(source="a test", date="2026-11-01", region="nowhere"),
    kind=PriceKind.PER_SECOND,
    components=(PriceComponent(name="gpu", amount=Decimal("0.0002"), count=Decimal(1)),),
    per_s=1,
    granularity_ms=100,
    minimum_s=60.0,
    idle_s=600.0,
)
FURTHER = FurtherInstance(by=RESPONSE_ID, since=NOW - 10, is_set=True, used_at=NOW - 1)
WHY = GrowthReason(
    reason="4 turns in line would save $0.003000 of waiting",
    before=2,
    after=3,
    spent=Decimal("0.0125"),
    saved=Decimal("0.003"),
    price=Decimal("0.0151"),
)
ASKED = FurtherInstance(by=RESPONSE_ID, since=NOW - 5, why=WHY)
STATE = BackendState(
    backend="gpu-l4",
    start_times=StartTimes(p50_s=20.5, p99_s=90.5, samples=(19.5, 21.5)),
    speed=LearnedSpeed(prefill_tokens_s=1000.5, decode_tokens_s=50.5, service_s=3.5),
    warmth=Warmth(
        warm_until=NOW + 100,
        warm_up=WarmUp(by=RESPONSE_ID, since=NOW - 3, until=NOW + 130, cold_at=NOW - 1, held_until=NOW + 12),
        lost_warm_ups=2,
        failed_warm_up=FailedWarmUp(at=NOW - 9, again_at=NOW + 1, tries=3, final=True, reason="quota"),
    ),
    load=Load(in_flight={ATTEMPT.id: NOW + 60}, queue_places={RESPONSE_ID: QueuePlace(NOW, NOW + 30)}),
    health=BackendHealth(
        errors=4, cooldown_until=NOW + 5, circuit_open_until=NOW + 6, probe_by=RESPONSE_ID, probe_until=NOW + 7
    ),
)
SESSION = GpuSession(
    id="s-1",
    backend="gpu-l4",
    price="l4",
    started=NOW,
    cold_s=20.5,
    last_end=NOW + 25,
    ready_at=NOW + 19,
    running={ATTEMPT.id: OWNER.tenant},
    recent_ends=(NOW + 21, NOW + 25),
    members=3,
    warm_up_record="attempt_wake_000",
)
SPAN = SessionSpan(
    record=ATTEMPT.id,
    tenant=OWNER.tenant,
    subject=OWNER.subject,
    response=RESPONSE_ID,
    began=NOW + 3,
    ended=NOW + 20,
    run=2,
    is_warm_up=True,
    provisional={BillLine.GPU: 3, BillLine.COLD: 2, BillLine.TAIL: 1},
)


def billing(store: SqliteStore, clock: FakeClock) -> GpuSessionBilling:
    return GpuSessionBilling(
        store=store,
        ledger=Ledger(store, clock, Budgets()),
        fleet=Fleet(models={}, backends={BACKEND.name: BACKEND}),
        prices={PRICE.name: PRICE},
        clock=clock,
    )


def test_the_state_of_a_backend_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.FLEET, "belief")
    found = BackendState.from_document(document.body)
    assert found == STATE
    assert as_json({"kind": STATE_ID, **found.to_document()}) == document.body


@pytest.mark.parametrize("status", ["open", "closing"])
def test_a_session_of_a_gpu_is_read_and_written_as_it_was(status: str) -> None:
    document = frozen(Container.FLEET, f"session_{status}")
    found = GpuSession.from_document(document.body)
    assert found == SESSION
    assert as_json(found.to_document(status)) == document.body


def test_a_span_of_a_session_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.FLEET, "span")
    found = SessionSpan.from_document(document.body)
    assert found == SPAN
    assert (span_id(SESSION.id, found.record), as_json(found.to_document())) == (document.id, document.body)


async def test_the_state_of_a_backend_is_found(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.FLEET, "belief")
    assert await BackendStates(store, clock).read({BACKEND.name: BACKEND}) == {BACKEND.name: STATE}


async def test_the_state_of_a_backend_is_found_beside_those_of_all_others(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.FLEET, "belief_shared")
    assert await BackendStates(store, clock).read({BACKEND.name: BACKEND}) == {BACKEND.name: STATE}


async def test_the_load_of_a_process_is_read_and_written_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    document = frozen(Container.FLEET, "load")
    part = LoadPart.from_document(document.body)
    assert part.load == Load(in_flight={"attempt_1": NOW + 60}, queue_places={"resp_2": QueuePlace(NOW, NOW + 90)})
    assert part.left == {"attempt_3": NOW + 30}
    assert as_json({"kind": "load", **part.to_document()}) == document.body
    assert document.id == part_id(BACKEND.name, "abcdef012345")
    await insert(store, Container.FLEET, "load")
    known = await BackendStates(store, clock).read({BACKEND.name: BACKEND})
    assert known[BACKEND.name].load == part.load


async def test_the_claims_of_a_process_are_read_and_written_as_they_were(store: SqliteStore, clock: FakeClock) -> None:
    document = frozen(Container.FLEET, "load_claims")
    part = LoadPart.from_document(document.body)
    place = QueuePlace(NOW, NOW + 90, 2, 608)
    assert part.load == Load(
        in_flight={"attempt_4": NOW + 60}, queue_places={"resp_5": place}, claims={"attempt_4": 1040}
    )
    assert as_json({"kind": "load", **part.to_document()}) == document.body
    await insert(store, Container.FLEET, "load", "load_claims")
    load = (await BackendStates(store, clock).read({BACKEND.name: BACKEND}))[BACKEND.name].load
    assert load.claimed(NOW, unknown=16) == 16 + 1040


async def test_the_speed_by_load_is_read_and_written_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    document = frozen(Container.FLEET, "belief_by_load")
    found = BackendState.from_document(document.body)
    assert found == replace(STATE, speed=replace(STATE.speed, by_load=((0, 60.5), (3, 20.5))))
    assert as_json({"kind": STATE_ID, **found.to_document()}) == document.body
    await insert(store, Container.FLEET, "belief_by_load")
    assert await BackendStates(store, clock).read({BACKEND.name: BACKEND}) == {BACKEND.name: found}


@pytest.mark.parametrize(
    ("name", "further"), [("belief_further", (FURTHER,)), ("belief_further_why", (FURTHER, ASKED))]
)
async def test_further_instances_and_why_they_were_started_are_read_and_written_as_they_were(
    store: SqliteStore, clock: FakeClock, name: str, further: tuple[FurtherInstance, ...]
) -> None:
    document = frozen(Container.FLEET, name)
    found = BackendState.from_document(document.body)
    assert found == replace(STATE, warmth=replace(STATE.warmth, further=further))
    assert as_json({"kind": STATE_ID, **found.to_document()}) == document.body
    await insert(store, Container.FLEET, name)
    assert await BackendStates(store, clock).read({BACKEND.name: BACKEND}) == {BACKEND.name: found}


async def test_the_part_of_a_process_in_a_session_is_read_and_written_as_it_was(
    store: SqliteStore, clock: FakeClock
) -> None:
    document = frozen(Container.FLEET, "session_part")
    await insert(store, Container.FLEET, "session_open", "session_part")
    found = await read_session(store, backend_key(BACKEND))
    part = found.parts[document.id]
    assert as_json({**part.to_document(), "session": SESSION.id}) == document.body
    assert found.session
    assert found.session.running.keys() == SESSION.running.keys() | part.running.keys()
    assert (found.session.members, found.session.last_end) == (SESSION.members + 2, SESSION.last_end)
    assert found.session.ready_at == NOW + 9


async def test_a_part_of_an_earlier_release_is_found_for_the_fleet_after_the_sweep(
    store: SqliteStore, clock: FakeClock
) -> None:
    """It was written without the fields by which the parts of all backends are found in one query."""
    await insert(store, Container.FLEET, "session_open", "session_part")
    clock.set(NOW + 3600)
    recent = RecentSessions(store, clock)
    assert (await recent.opened())[BACKEND.name].members == SESSION.members
    assert len(await billing(store, clock).finished_sessions()) == 1
    assert (await recent.opened())[BACKEND.name] == (await read_session(store, backend_key(BACKEND))).session
    assert (await recent.opened())[BACKEND.name].members == SESSION.members + 2


@pytest.mark.parametrize("name", ["rent", "rent_shared"])
async def test_what_was_spent_elsewhere_is_read_as_it_was(store: SqliteStore, clock: FakeClock, name: str) -> None:
    await insert(store, Container.FLEET, name)
    assert await RentalSpend(store, clock).total(BACKEND, window_s=720.0) == Decimal("0.0125")


async def test_what_was_spent_elsewhere_is_written_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    await RentalSpend(store, clock).add(BACKEND, Decimal("0.0125"), window_s=720.0)
    document = frozen(Container.FLEET, "rent_shared")
    assert await stored(store, document) == document.body


@pytest.mark.parametrize("name", ["demand", "demand_shared"])
async def test_demand_is_read_as_it_was(store: SqliteStore, clock: FakeClock, name: str) -> None:
    await insert(store, Container.FLEET, name)
    found = await DemandLog(store, clock, FleetCounters(store)).observed(BACKEND)
    assert found == ObservedDemand([PastDemand(NOW + 3 * 44, 0.0125, 4.5)], 2)


@pytest.mark.parametrize(("name", "idle_s"), [("rule", None), ("rule_held", 90.0)])
async def test_a_rule_is_read_and_written_as_it_was(
    store: SqliteStore, clock: FakeClock, name: str, idle_s: float | None
) -> None:
    await insert(store, Container.FLEET, name)
    rules, document = RentalRules(store, clock), frozen(Container.FLEET, name)
    found = (await rules.in_force((BACKEND,)))[BACKEND.name]
    assert found.rule == Rule(threshold=0.6, keep=0.3, window=0.5, idle_s=idle_s)
    await rules.adopt(BACKEND, found)
    assert await stored(store, document) == document.body


def test_the_rule_of_a_backend_is_shown_as_it_was() -> None:
    choice = RuleChoice.from_document(frozen(Container.FLEET, "rule_held").body)
    summary = BackendSummary(backend=replace(BACKEND, price=PRICE), state=STATE, rule=choice.rule, adopted=choice)
    assert as_json(rule_object(summary)) == frozen_json("public/fleet_rule")


async def test_the_accepted_tools_of_a_server_are_read_and_written_as_they_were(
    store: SqliteStore, clock: FakeClock
) -> None:
    pins, document = ToolPins(store, clock), frozen(Container.FLEET, "pins")
    known = {"find_order": "0123456789abcdef0123456789abcdef"}
    assert await pins.pin_new("shop", known) == known
    assert await stored(store, document) == document.body
    assert await pins.known("shop") == known


async def test_the_durations_of_tools_are_read_and_written_as_they_were(store: SqliteStore, clock: FakeClock) -> None:
    durations, document = LearnedToolDurations(store, clock), frozen(Container.FLEET, "tool_durations")
    for seconds in (1200.0, 1201.5, 1199.0):
        durations.note("shop", "find_order", seconds)
    await durations.write()
    assert await stored(store, document) == document.body
    times = (await durations.read()).times(["shop/find_order"])
    assert times
    assert times.middle_s == 1200.0


async def test_a_session_that_is_open_is_found(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.FLEET, "session_open", "span")
    sessions = GpuSessions(store=store, ledger=Ledger(store, clock, Budgets()), clock=clock)
    entry = await sessions.entry_of(BACKEND, ATTEMPT.id)
    assert (await sessions.current(BACKEND)).session == SESSION
    assert entry is not None
    assert (entry.session, entry.run) == (SESSION.id, SPAN.run)


async def test_the_sweep_finds_sessions_by_their_status(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.FLEET, "session_open", "session_closing")
    clock.advance(3600)
    bills = billing(store, clock)
    for found in (await bills.finished_sessions(), await bills.sessions_to_review(), await bills.unposted_sessions()):
        assert [GpuSession.from_document(each.document.body) for each in found] == [SESSION]


async def test_a_session_that_is_closed_is_read_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.FLEET, "session_closed")
    assert await billing(store, clock).closed_sessions(BACKEND) == [SESSION]


async def test_a_session_is_closed_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.FLEET, "session_closing")
    clock.advance(500)
    key = backend_key(BACKEND)
    found = await store.read(key, closed_id(SESSION.id))
    assert found is not None
    await billing(store, clock).mark_closed(key, found, SESSION, PRICE, ())
    document = frozen(Container.FLEET, "session_closed")
    assert await stored(store, document) == document.body


async def test_a_lease_of_a_count_is_read_and_written_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.FLEET, "count_lease")
    leases, document = CountLeases(store, clock), frozen(Container.FLEET, "count_lease")
    found = await leases.read(BACKEND)
    assert found
    assert (found.lease, found.process, found.written_at) == (
        CountLease(by="resp_1", at=NOW, requested_at=NOW + 30, tries=2),
        "abcdef012345",
        NOW + 31,
    )
    leases.process = "abcdef012345"
    clock.set(NOW + 31)
    assert await leases.replace(BACKEND, found, found.lease)
    assert await stored(store, document) == document.body
