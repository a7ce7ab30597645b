"""What does an operator see of each backend, and what of other tenants?"""

from collections.abc import Mapping
from copy import replace
from decimal import Decimal
from typing import Any

from domain.fleet.catalog import Auth, AuthKind, ColdStart
from domain.fleet.failure_classes import Diagnosis, Failure, FailureClass, FailureKind, diagnose
from domain.fleet.learned_speed import Observation
from domain.identity.owners import Owner
from domain.money.attempt_charge import AttemptCharge
from domain.money.costing import time_cost
from domain.money.ledger_records import AttemptRecord
from domain.routing.rent_or_buy import DEFAULT_RULE, Rule, session_price
from domain.routing.rules.rule_choice import RuleChoice
from state.money.recent_sessions import UNPOSTED_S
from tests.api.harness import OPERATOR, Api, api
from tests.domain.money.sessions.test_gpu_sessions import PRICE
from tests.fakes.backends import FakeBackend, says
from tests.fakes.worlds import OWNER, backend

FOREIGN = Owner(tenant="99999999-9999-9999-9999-999999999999", subject=OWNER.subject)
GPU = replace(
    backend("gpu"), price=PRICE, cold_start=ColdStart(scales_to_zero=True, p50_s=10, p99_s=40, idle_s=PRICE.idle_s)
)


def mixed_fleet() -> Api:
    return api(FakeBackend(), FakeBackend(), deployed={"gpu": GPU, "spare": backend("spare")})


async def fleet(one: Api, **headers: str) -> Mapping[str, Any]:
    answer = await one.http.get("/v1/fleet", headers={"authorization": "Bearer operator", **headers})
    assert answer.status_code == 200, answer.text
    return {each["id"]: each for each in answer.json()["data"]}


def attempt(owner: Owner, token: str) -> AttemptRecord:
    return AttemptRecord(
        response=f"resp_{'a' * 24}{token * 24}",
        subject=owner.subject,
        number=1,
        backend="gpu",
        price=PRICE.name,
        charge=AttemptCharge(reserved=Decimal(1)),
        started_at=0.0,
    )


async def test_a_sleeping_backend_and_one_that_is_always_on() -> None:
    found = await fleet(mixed_fleet())
    gpu, spare = found["gpu"], found["spare"]
    assert (gpu["status"], gpu["obstacle"], gpu["session"], gpu["running"]) == ("asleep", None, None, 0)
    assert (gpu["start"]["p50_s"], gpu["start"]["p99_s"], gpu["start"]["samples"]) == (10, 40, 0)
    assert (gpu["start"]["rental_spend_usd"], gpu["start"]["rental_window_s"]) == ("0.000000000", 52.5)
    assert (spare["status"], spare["start"], spare["session"]) == ("always_on", None, None)


async def test_a_starting_and_then_warm_backend() -> None:
    one = mixed_fleet()
    states, now = one.world.app.state.backend_states, one.world.clock.now()
    await states.claim_warm_up(GPU, "a turn")
    starting = (await fleet(one))["gpu"]
    assert (starting["status"], starting["start"]["since"]) == ("starting", now)
    one.world.clock.advance(12)
    await states.record_opening(GPU, asked_at=now)
    warm = (await fleet(one))["gpu"]
    assert (warm["status"], warm["start"]["samples"], warm["start"]["longest_s"]) == ("warm", 1, 12)
    assert warm["start"]["warm_until"] == now + 12 + PRICE.idle_s


async def test_the_memory_that_attempts_claim_and_the_speed_beside_others_are_shown() -> None:
    paged = replace(GPU, limits=replace(GPU.limits, kv_tokens=8000))
    one = api(FakeBackend(), FakeBackend(), deployed={"gpu": paged, "spare": backend("spare")})
    states, now = one.world.app.state.backend_states, one.world.clock.now()
    assert (await fleet(one))["spare"]["kv_memory"] is None
    for name in ("attempt_a", "attempt_b"):
        await states.record_start(paged, name, until=now + 60, claim=1600)
    seen = Observation(
        attempt="attempt_a",
        started_at=now,
        first_token_at=now + 1,
        ended_at=now + 3,
        input_tokens=300,
        output_tokens=61,
        beside=1,
    )
    await states.record_success(paged, seen)
    one.world.clock.advance(2)
    found = (await fleet(one))["gpu"]
    assert found["kv_memory"] == {"tokens": 8000, "claimed": 1600}
    assert found["speed"]["decode_by_load"] == [{"up_to": 2, "tokens_s": 46.0}]


async def test_an_obstacle_is_shown_with_its_end() -> None:
    one = mixed_fleet()
    throttled = Diagnosis(failure_class=FailureClass.THROTTLED, reason="busy", delay_s=30)
    await one.world.app.state.backend_states.record_failure(backend("spare"), throttled, "attempt")
    spare = (await fleet(one))["spare"]
    assert spare["obstacle"] == {"reason": "cooling_down", "until": one.world.clock.now() + 30}


async def test_a_refused_warm_up_names_the_grant_that_it_needs() -> None:
    guarded = replace(GPU, auth=Auth(kind=AuthKind.GOOGLE_ID_TOKEN, service_account="caller@project"))
    one = api(FakeBackend(), deployed={"gpu": guarded})
    states = one.world.app.state.backend_states
    for status, grant in ((403, "roles/run.invoker on the service for caller@project"), (500, None)):
        await states.claim_warm_up(guarded, "a turn")
        refused = diagnose(Failure(kind=FailureKind.STATUS, status=status), ())
        await states.record_warm_up_failure(guarded, refused, "a turn")
        failed = (await fleet(one))["gpu"]["start"]["failed_warm_up"]
        assert failed["grant"] == grant
        one.world.clock.advance(10_000)


async def test_a_session_shows_its_cost_and_of_other_tenants_only_a_number() -> None:
    one = mixed_fleet()
    mine, theirs = attempt(OPERATOR, "1"), attempt(FOREIGN, "2")
    for owner, record in ((OPERATOR, mine), (FOREIGN, theirs)):
        await one.world.app.state.gpu_sessions.enter(GPU, owner, record, limit_s=60)
    one.world.clock.advance(100)
    session = (await fleet(one))["gpu"]["session"]
    assert session == {
        "started_at": session["started_at"],
        "ready_at": None,
        "last_request_at": None,
        "requests_ended_at": [],
        "worked": [[session["started_at"] + 10, one.world.clock.now()]],
        "ends_at": None,
        "cost_usd": "0.039470000",
        "members": 2,
        "running": [mine.id],
        "running_of_others": 1,
        "sharers": {
            "own": [{"response_id": mine.response, "used_usd": "0.019735000"}],
            "others_usd": "0.019735000",
            "at": one.world.clock.now(),
        },
    }


async def run_session(one: Api) -> None:
    """Run a session of 30 s, of which it was up for 18 s, and an idle period, to its end."""
    state, began = one.world.app.state, one.world.clock.now()
    entry = await state.gpu_sessions.enter(GPU, FOREIGN, attempt(FOREIGN, "2"), limit_s=60)
    assert entry is not None
    one.world.clock.advance(30)
    await state.gpu_sessions.leave(GPU, entry, ended=began + 30, opened_at=began + 12)
    one.world.clock.advance(PRICE.idle_s)
    for found in await state.gpu_session_billing.finished_sessions():
        await state.gpu_session_billing.close(found)


async def test_a_session_that_is_over_shows_when_requests_ended_and_nothing_of_whose_they_were() -> None:
    one = mixed_fleet()
    began = one.world.clock.now()
    await run_session(one)
    (ended,) = (await fleet(one))["gpu"]["sessions"]
    assert (ended["started_at"], ended["ready_at"], ended["requests_ended_at"]) == (began, began + 12, [began + 30])
    assert (ended["ended_at"], ended["members"], ended["served"]) == (began + 30 + PRICE.idle_s, 1, True)
    assert Decimal(ended["cost_usd"]) == time_cost(PRICE, 30 + PRICE.idle_s)
    assert FOREIGN.tenant not in str(ended)


async def test_a_session_shows_its_pauses_once_its_shares_are_posted() -> None:
    """Until then its spans are not read for the fleet: it is not known when it worked."""
    one = mixed_fleet()
    state, began = one.world.app.state, one.world.clock.now()
    for number in ("1", "2"):
        record = attempt(FOREIGN, number)
        entry = await state.gpu_sessions.enter(GPU, FOREIGN, record, limit_s=60)
        assert entry is not None
        one.world.clock.advance(20)
        await state.gpu_sessions.leave(GPU, entry, ended=one.world.clock.now(), opened_at=began + 12)
        one.world.clock.advance(5)
    one.world.clock.advance(PRICE.idle_s)
    billing = state.gpu_session_billing
    for found in await billing.finished_sessions():
        await billing.close(found)
    assert (await fleet(one))["gpu"]["sessions"][0]["worked"] is None
    for found in await billing.unposted_sessions():
        await billing.post(found)
    one.world.clock.advance(UNPOSTED_S)
    worked = (await fleet(one))["gpu"]["sessions"][0]["worked"]
    assert worked == [[began + 12, began + 20], [began + 25, began + 45]]


async def test_a_warm_up_that_no_turn_used_served_nothing() -> None:
    one = mixed_fleet()
    state = one.world.app.state
    assert await state.gpu_sessions.warm_up(GPU, OPERATOR, "resp_a", cold_s=10, worst_s=40)
    one.world.clock.advance(10 + PRICE.idle_s)
    for found in await state.gpu_session_billing.finished_sessions():
        await state.gpu_session_billing.close(found)
    (ended,) = (await fleet(one))["gpu"]["sessions"]
    assert (ended["served"], ended["ready_at"]) == (False, None)


async def test_the_role_is_required() -> None:
    answer = await mixed_fleet().http.get("/v1/fleet")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_permissions")


async def test_an_unchanged_fleet_is_not_sent_again() -> None:
    one = mixed_fleet()
    headers = {"authorization": "Bearer operator"}
    first = await one.http.get("/v1/fleet", headers=headers)
    one.world.clock.advance(2)
    second = await one.http.get("/v1/fleet", headers={**headers, "if-none-match": first.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")
    await one.world.app.state.backend_states.claim_warm_up(GPU, "a turn")
    one.world.clock.advance(2)
    third = await one.http.get("/v1/fleet", headers={**headers, "if-none-match": first.headers["etag"]})
    assert third.status_code == 200


async def test_the_default_rule_is_shown_until_demand_was_replayed() -> None:
    rule = (await fleet(mixed_fleet()))["gpu"]["rule"]
    price = Decimal(rule["session_price_usd"])
    assert price == session_price(PRICE, 10) > 0
    assert (rule["threshold"], rule["keep"], rule["window"]) == DEFAULT_RULE[:3]
    assert (Decimal(rule["buys_at_usd"]), Decimal(rule["keeps_at_usd"])) == (price, price * Decimal("0.6"))
    assert (rule["chosen_at"], rule["would_have_cost_usd"]) == (None, {})
    assert rule["reason"].startswith("the default rule")


async def test_an_adopted_rule_is_shown_with_its_rivals_and_the_spend_of_its_own_window() -> None:
    one = mixed_fleet()
    state, now = one.world.app.state, one.world.clock.now()
    await state.rental_spend.add(GPU, Decimal("0.5"), window_s=70)
    one.world.clock.advance(100)
    assert (await fleet(one))["gpu"]["start"]["rental_spend_usd"] == "0.000000000"
    dollars = {"adopted": 1.5, "default": 2, "next": 1.75, "never": 3, "always": 4}
    adopted = RuleChoice(
        rule=Rule(0.3, 0.6, 2.0), at=now, second_usd=1.0, turns=345, reason="the cheapest of 60", dollars=dollars
    )
    await state.rental_rules.adopt(GPU, adopted)
    one.world.clock.advance(2)
    gpu = (await fleet(one))["gpu"]
    assert gpu["start"]["rental_window_s"] == gpu["rule"]["window_s"] == 140
    assert gpu["start"]["rental_spend_usd"] == "0.500000000"
    assert (gpu["rule"]["turns"], gpu["rule"]["reason"], gpu["rule"]["chosen_at"]) == (345, "the cheapest of 60", now)
    assert gpu["rule"]["would_have_cost_usd"]["never"] == "3.000000"
    assert set(gpu["rule"]["would_have_cost_usd"]) == set(dollars)


async def test_spend_that_bought_the_session_of_another_backend_is_not_shown() -> None:
    other = replace(GPU, name="spare")
    one = api(FakeBackend(), FakeBackend(), deployed={"gpu": GPU, "spare": other})
    state = one.world.app.state
    await state.rental_spend.add(GPU, Decimal("0.5"), window_s=70, shared={"spare": Decimal("0.4")})
    assert (await fleet(one))["gpu"]["start"]["rental_spend_usd"] == "0.500000000"
    one.world.clock.advance(2)
    await state.backend_states.claim_warm_up(other, "a turn")
    assert (await fleet(one))["gpu"]["start"]["rental_spend_usd"] == "0.100000000"


async def test_the_days_dollars_by_cause_are_those_of_the_tenant_and_need_the_role() -> None:
    one = api(FakeBackend(says("one two"), says("one two")))
    seen: list[Any] = []
    for caller, advance_s in (("operator", 20.0), ("operator", 0.0), ("operator", 20.0), ("accepter", 0.0)):
        if len(seen) in (0, 1):
            await one.create({"input": "hi", "model": "model"})
            await one.orchestrations.ended()
        one.world.clock.advance(advance_s)
        answer = await one.http.get("/v1/fleet", headers={"authorization": f"Bearer {caller}"})
        seen.append(answer.json()["today_usd"])
    assert seen == [{"tokens": "0.000011000"}, {"tokens": "0.000011000"}, {"tokens": "0.000022000"}, None]
