"""What do an operator and a bill say of a backend with several instances?"""

from copy import replace
from decimal import Decimal

from api.endpoints.reports.fleet import BEYOND_PLACES
from api.rendering.bill import settled_sessions, shared_session
from domain.fleet.instances.further import GrowthReason
from domain.fleet.instances.scaling import InstanceControl, Scaling
from domain.money.costing import time_cost
from state.fleet.further_states import FurtherStates
from tests.api.endpoints.reports.test_fleet import FOREIGN, GPU, attempt, fleet
from tests.api.harness import OPERATOR, Api, api
from tests.domain.money.sessions.test_gpu_sessions import PRICE
from tests.fakes.backends import FakeBackend

PAIR = replace(GPU, max_instances=3, limits=replace(GPU.limits, concurrency=1))
SERVICE = InstanceControl(service="projects/p/locations/r/services/s", maximum=3)
COUNTED = replace(PAIR, scaling=Scaling.COUNT, instances=SERVICE)


async def two_instances() -> Api:
    """Return a product in which two tenants have an attempt each, on an instance of its own."""
    one = api(FakeBackend(), deployed={"gpu": PAIR})
    state = one.world.app.state
    for owner, token in ((OPERATOR, "1"), (FOREIGN, "2")):
        entry = await state.gpu_sessions.enter(PAIR, owner, attempt(owner, token), limit_s=60)
        assert entry
        await state.ledger.open_attempt(owner, attempt(owner, token))
        one.world.clock.advance(10)
    return one


async def test_the_fleet_shows_each_instance_with_its_session_and_cost() -> None:
    one = await two_instances()
    found = (await fleet(one))["gpu"]["instances"]
    sessions = found.pop("sessions")
    assert found == {"most": 3, "count": 2, "is_estimate": True, "further": []}
    assert [(each["number"], each["cost_usd"], each["members"]) for each in sessions] == [
        (0, f"{time_cost(PRICE, 20):.9f}", 1),
        (1, f"{time_cost(PRICE, 10):.9f}", 1),
    ]
    assert [(len(each["running"]), each["running_of_others"]) for each in sessions] == [(1, 0), (0, 1)]
    assert sessions[1]["sharers"]["own"] == []
    assert FOREIGN.tenant not in str(sessions)


async def test_sessions_of_all_instances_are_shown_when_they_are_over() -> None:
    one = await two_instances()
    state, now = one.world.app.state, one.world.clock.now()
    for owner, token in ((OPERATOR, "1"), (FOREIGN, "2")):
        entry = await state.gpu_sessions.entry_of(PAIR, attempt(owner, token).id)
        assert entry
        await state.gpu_sessions.leave(PAIR, entry, ended=now)
    one.world.clock.advance(2 * PRICE.idle_s)
    for found in await state.gpu_session_billing.finished_sessions():
        await state.gpu_session_billing.close(found)
    gpu = (await fleet(one))["gpu"]
    assert [each["started_at"] for each in gpu["sessions"]] == [now - 20, now - 10]
    assert (gpu["session"], gpu["instances"]["sessions"], gpu["instances"]["count"]) == (None, [], 0)


async def test_a_bill_names_the_instance_and_that_it_is_an_estimate() -> None:
    one = await two_instances()
    state, record = one.world.app.state, attempt(FOREIGN, "2")
    now, sessions, billing = one.world.clock.now(), state.gpu_sessions, state.gpu_session_billing
    entry = await sessions.entry_of(PAIR, record.id)
    assert entry
    assert entry.instance == 1
    shares = await sessions.leave(PAIR, entry, ended=now)
    await state.ledger.close_attempt(FOREIGN, replace(record, charge=replace(record.charge, shares=shares)))
    records = await state.ledger.records(FOREIGN, record.response)
    (open_one,) = await one.world.app.state.session_outlooks.of(FOREIGN, records)
    shown = shared_session(open_one)
    assert (shown["backend"], shown["instance"], shown["is_estimate"]) == ("gpu", 1, True)
    one.world.clock.advance(2 * PRICE.idle_s)
    for found in await billing.finished_sessions():
        await billing.close(found)
    for found in await billing.unposted_sessions():
        await billing.post(found)
    (settled,) = settled_sessions(await state.ledger.records(FOREIGN, record.response))
    assert (settled["backend"], settled["instance"], settled["is_estimate"]) == ("gpu", 1, True)
    assert Decimal(settled["final_usd"]) > 0


async def test_a_backend_with_one_instance_has_no_such_entry() -> None:
    one = api(FakeBackend(), deployed={"gpu": GPU})
    assert "instances" not in (await fleet(one))["gpu"]


async def test_the_fleet_says_why_each_further_instance_was_started() -> None:
    one = api(FakeBackend(), deployed={"gpu": COUNTED})
    states, now = one.world.app.state.backend_states, one.world.clock.now()
    await states.claim_warm_up(COUNTED, "a turn")
    why = GrowthReason(reason="4 turns", spent=Decimal("0.25"), saved=Decimal("0.5"), price=Decimal("0.7"))
    await FurtherStates(states, one.world.clock).claim(COUNTED, "another turn", 5, why=why)
    (first, second) = (await fleet(one))["gpu"]["instances"]["further"]
    assert first == {
        "number": 1,
        "since": now,
        "is_asked_for": True,
        "reason": "4 turns",
        "count_before": 1,
        "count_after": 3,
        "rental_spend_usd": "0.250000000",
        "saved_usd": "0.500000000",
        "price_usd": "0.700000000",
    }
    assert {**second, "number": 1} == first
    await FurtherStates(states, one.world.clock).record_count(COUNTED, "another turn")
    one.world.clock.advance(2)
    assert [each["is_asked_for"] for each in (await fleet(one))["gpu"]["instances"]["further"]] == [False, False]


async def test_an_instance_that_the_provider_started_unasked_is_shown_without_figures() -> None:
    one = api(FakeBackend(), deployed={"gpu": PAIR})
    states, now = one.world.app.state.backend_states, one.world.clock.now()
    for number in range(2):
        await states.record_start(PAIR, f"attempt_{number}", until=now + 60)
    (found,) = (await fleet(one))["gpu"]["instances"]["further"]
    assert (found["reason"], found["count_before"], found["price_usd"]) == (BEYOND_PLACES, None, None)
