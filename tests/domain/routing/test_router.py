"""Is the right backend picked, and does every other one hear the true reason?"""

import json
from collections.abc import Mapping
from copy import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content.capabilities import Capability
from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Adapter, Backend, ContinuationMode, Fleet, UnconfiguredBackend
from domain.fleet.health import BackendHealth
from domain.fleet.load import Load
from domain.fleet.warmth import Warmth
from domain.money.costing import BackendWork, attempt_cost
from domain.routing.estimates import AttemptLimits, Demand
from domain.routing.model_choice import RouteProblem, UnknownModel, read_model_choice
from domain.routing.route_record import route_to_document
from domain.routing.router import RouteDecision, route
from tests.domain.fleets import ATTEMPT_LIMITS, SERVERLESS, backend, fleet, limits
from tests.domain.fleets import GPU as GPU_PRICE
from tests.domain.routing.decisions.stored_routes import route_from_document

NOW = 1_000_000.0

STEADY = backend("steady")
NARROW = backend("narrow", bounds=limits(context_tokens=2048))
DEAR = backend("dear", decode_tokens_s=25)
API = backend("api", model="large", price="api", bounds=limits(context_tokens=131072, max_output_tokens=32768))
GPU = backend("gpu", cold=SERVERLESS)
COLD_AFRESH = backend(
    "cold-afresh",
    model="large",
    cold=SERVERLESS,
    bounds=limits(context_tokens=100_000, max_output_tokens=50_000),
    continues=ContinuationMode.NO,
)


def demand(**changes: Any) -> Demand:
    fields: dict[str, Any] = {
        "input_tokens": 500,
        "output_tokens": 500,
        "attempt_limits": ATTEMPT_LIMITS,
        **changes,
    }
    return Demand(**fields)


def decide(*backends: Backend, states: Mapping[str, BackendState] | None = None, **changes: Any) -> RouteDecision:
    return route(demand(**changes), fleet(*backends), states or {}, NOW)


def test_the_cheapest_that_fits_is_picked_and_says_so() -> None:
    found = decide(DEAR, STEADY)
    assert found.backend == "steady"
    assert found.reason == (
        "steady is up: estimated 10.5 s and $0.004144 for its busy time; the best of 2 by cost and waiting time"
    )
    assert [each.backend for each in found.candidates] == ["steady", "dear"]
    assert found.has_alternative
    assert found.rejected == ()


@pytest.mark.parametrize(
    ("other", "changes", "code", "reason"),
    [
        (
            NARROW,
            {"input_tokens": 2620},
            "window",
            "the turn needs 3,120 tokens (estimated from its bytes); the context window has 2,048",
        ),
        (STEADY, {"model": "large"}, "pin", "the caller requested the model large; this backend serves small"),
        (STEADY, {"model": "auto@api"}, "pin", "the caller requested the backend api"),
        (STEADY, {"tier": "premium"}, "tier", "the turn needs quality tier 3; small has tier 1"),
        (STEADY, {"excluded": {"steady": "it broke"}}, "excluded", "excluded from this turn: it broke"),
        (
            STEADY,
            {"needs": frozenset({Capability.VISION, Capability.TOOLS})},
            "capability",
            "the turn needs vision, which small does not support",
        ),
        (
            replace(backend("converse", model="large", price="api"), adapter=Adapter.CONVERSE),
            {"needs": frozenset({Capability.SEED, Capability.TOOLS})},
            "capability",
            "the turn needs seed, which the adapter converse of this backend cannot express",
        ),
        (
            backend("eu", bounds=limits(max_output_tokens=400)),
            {},
            "output",
            "the answer may have 500 tokens; this backend writes at most 400",
        ),
        (
            backend("tiny", bounds=limits(request_bytes=1000)),
            {"request_bytes": 4096},
            "payload",
            "the request has 4,096 bytes; this backend accepts 1,000",
        ),
        (
            backend("tight", bounds=limits(gpu_memory_gb=6)),
            {},
            "memory",
            "the turn needs 5.6 GB of GPU memory; 5.4 GB are usable",
        ),
        (GPU, {"deadline_s": 30.0}, "deadline", "the turn takes an estimated 70.5 s; 30.0 s are left"),
        (STEADY, {"budget": Decimal("0.004")}, "budget", "the turn may cost up to $0.011841; $0.004000 are left"),
    ],
)
def test_a_rejected_backend_has_one_reason(other: Backend, changes: dict[str, Any], code: str, reason: str) -> None:
    found = decide(API, other, **changes)
    assert found.backend == "api"
    (rejection,) = found.rejected
    assert (rejection.backend, rejection.code, rejection.reason) == (other.name, code, reason)


def test_data_that_must_stay_somewhere_stays_there() -> None:
    found = decide(backend("eu", residency="eu"), backend("us", residency="us"), API, residencies=frozenset({"eu"}))
    assert found.backend == "eu"
    assert [each.reason for each in found.rejected] == [
        "data must stay in eu; this backend is in an unknown region",
        "data must stay in eu; this backend is in us",
    ]


def test_a_backend_in_trouble_is_left_alone_and_named_with_the_time_it_needs() -> None:
    states = {
        "steady": replace(initial_state(STEADY), health=BackendHealth(errors=3, circuit_open_until=NOW + 4.5)),
        "dear": replace(initial_state(DEAR), health=BackendHealth(cooldown_until=NOW + 12)),
    }
    found = decide(STEADY, DEAR, states=states)
    assert (found.backend, found.problem) == (None, RouteProblem.NONE_FEASIBLE)
    assert [each.reason for each in found.rejected] == [
        "it is throttled for another 12.0 s",
        "it failed 3 times in a row; no requests for another 4.5 s",
    ]
    assert found.retry_in_s == 4.5
    later = route(demand(), fleet(STEADY, DEAR), states, NOW + 5)
    assert later.backend == "steady"


def test_without_an_eligible_backend_the_decision_has_every_reason() -> None:
    found = decide(STEADY, NARROW, input_tokens=100_000)
    assert (found.backend, found.problem, found.chosen) == (None, RouteProblem.NONE_FEASIBLE, None)
    assert {each.backend: each.code for each in found.rejected} == {"steady": "window", "narrow": "window"}
    assert found.retry_in_s is None


@pytest.mark.parametrize(
    ("changes", "problem", "reason"),
    [
        (
            {"model": "gigantic"},
            RouteProblem.MODEL_NOT_FOUND,
            "the model 'gigantic' does not exist; available models: auto, small",
        ),
        ({"model": ""}, RouteProblem.MODEL_NOT_FOUND, "the model '' does not exist; available models: auto, small"),
        (
            {"model": "large"},
            RouteProblem.MODEL_NOT_FOUND,
            "the model 'large' does not exist here (its backends need GANGLION_API_URL); available models: auto, small",
        ),
        (
            {"model": "small@nowhere"},
            RouteProblem.BACKEND_NOT_FOUND,
            "no backend 'nowhere' serves the model 'small'",
        ),
        ({"model": "small@"}, RouteProblem.BACKEND_NOT_FOUND, "no backend '' serves the model 'small'"),
        (
            {"tier": "gold"},
            RouteProblem.TIER_UNKNOWN,
            "the tier 'gold' does not exist; available tiers: economy, standard, premium, 1, 2, 3, 4, 5",
        ),
    ],
)
def test_a_name_that_is_not_there_is_a_mistake_of_its_own_kind(
    changes: dict[str, Any], problem: RouteProblem, reason: str
) -> None:
    missing = UnconfiguredBackend(backend="api", model="large", variable="GANGLION_API_URL")
    here = replace(fleet(STEADY), unconfigured=(missing,))
    wanted = demand(**changes)
    found = route(wanted, here, {}, NOW)
    assert (found.backend, found.problem, found.reason) == (None, problem, reason)
    assert read_model_choice(wanted.model, wanted.tier, here) == UnknownModel(problem=problem, reason=reason)


def test_a_backend_that_serves_another_model_is_no_backend_of_that_model() -> None:
    assert decide(STEADY, API, model="small@api").problem is RouteProblem.BACKEND_NOT_FOUND
    assert decide(STEADY, API, model="large@api").backend == "api"


def test_a_cold_backend_is_charged_its_start_and_tail_and_a_warm_one_its_longer_stay() -> None:
    (cold,) = decide(GPU).candidates
    assert (cold.seconds, cold.cost) == (70.5, Decimal("0.264646350"))
    warm = {"gpu": replace(initial_state(GPU), warmth=Warmth(warm_until=NOW + 590))}
    (kept,) = decide(GPU, states=warm).candidates
    assert (kept.seconds, kept.cost) == (10.5, Decimal("0.008091350"))
    assert kept.reason == "is up: estimated 10.5 s and $0.008091 for its additional warm time"


def test_what_is_expected_gives_the_score_and_what_is_possible_the_reservation() -> None:
    (found,) = decide(API, expected_input_tokens=100, expected_output_tokens=50, ceiling_input_tokens=2000).candidates
    assert found.cost == Decimal("0.00012")
    assert found.worst_cost == Decimal("0.0016")
    assert found.seconds == 1.1
    assert found.worst_s == 30.0


def test_a_slow_start_that_may_miss_the_deadline_weighs() -> None:
    (found,) = decide(GPU, deadline_s=100.0).candidates
    assert found.terms["lateness"] == Decimal("0.0002") * 10 * Decimal("30.5")
    assert found.score == sum(found.terms.values())
    assert "lateness" not in decide(GPU, deadline_s=200.0).candidates[0].terms


def test_a_caller_in_a_hurry_pays_for_speed() -> None:
    quick = powered("quick", Decimal(2), decode_tokens_s=200)
    slow = backend("slow", model="large", price="api", decode_tokens_s=5)
    assert decide(quick, slow, time_value=Decimal(0)).backend == "slow"
    assert decide(quick, slow, time_value=Decimal("0.01")).backend == "quick"


def powered(name: str, energy_per_hour: Decimal, *, decode_tokens_s: float = 50) -> Backend:
    """Return a machine that is always on and whose work costs energy."""
    machine = backend(name, decode_tokens_s=decode_tokens_s)
    return replace(machine, price=replace(GPU_PRICE, energy_per_hour=energy_per_hour))


def test_a_machine_that_is_paid_anyway_takes_the_turn() -> None:
    api = replace(API, price=replace(API.price, input=Decimal("0.01"), output=Decimal("0.01")))
    found = decide(api, STEADY, time_value=Decimal("0.000001"))
    assert found.backend == "steady"
    own = found.candidates[0]
    assert (own.terms["sunk"], own.terms["cost"] > 0) == (-own.cost, True)


@pytest.mark.parametrize(("energy_per_hour", "picked"), [("0", "own"), ("0.2", "own"), ("2", "api")])
def test_its_energy_counts(energy_per_hour: str, picked: str) -> None:
    assert decide(API, powered("own", Decimal(energy_per_hour))).backend == picked


def test_a_full_backend_makes_its_next_caller_wait() -> None:
    full = replace(initial_state(STEADY), load=Load(in_flight={f"attempt_{n}": NOW + 60 for n in range(4)}))
    (found,) = decide(STEADY, states={"steady": full}).candidates
    assert found.seconds == 21.0
    (later,) = route(demand(), fleet(STEADY), {"steady": full}, NOW + 61).candidates
    assert later.seconds == 10.5


def test_a_backend_that_can_t_continue_writes_no_more_than_one_attempt_holds() -> None:
    long = limits(context_tokens=100_000, max_output_tokens=50_000)
    afresh = backend("afresh", model="large", bounds=long, continues=ContinuationMode.NO)
    going_on = backend("going-on", model="large", bounds=long)
    found = {each.backend: each.output_tokens for each in decide(afresh, going_on, output_tokens=50_000).candidates}
    assert found == {"afresh": 11_987, "going-on": 50_000}


@pytest.mark.parametrize(
    ("limits", "output_tokens"),
    [
        (AttemptLimits(hold_s=10, handover_s=480), 11_737),
        (AttemptLimits(hold_s=10, handover_s=20), 237),
        (AttemptLimits(hold_s=120, handover_s=480), 10_487),
    ],
)
def test_a_backend_that_can_t_continue_writes_what_fits_in_an_attempt_after_the_longest_hold(
    limits: AttemptLimits, output_tokens: int
) -> None:
    (found,) = decide(COLD_AFRESH, output_tokens=15_000, attempt_limits=limits).candidates
    assert found.output_tokens == output_tokens


def test_a_backend_that_can_t_continue_and_may_hold_a_request_for_a_whole_attempt_is_out() -> None:
    assert decide(COLD_AFRESH, attempt_limits=AttemptLimits(hold_s=60, handover_s=60)).rejected[0].code == "room"


@pytest.mark.parametrize("hold_s", [10, 120])
def test_the_worst_case_of_an_attempt_contains_the_longest_hold(hold_s: float) -> None:
    (cold,) = decide(GPU, attempt_limits=AttemptLimits(hold_s=hold_s, handover_s=480)).candidates
    assert cold.worst_s == 30.0 + hold_s


models = st.sampled_from(["small", "large"])
names = st.text(alphabet="abcdef", min_size=1, max_size=3)
fleets = st.lists(
    st.builds(
        backend,
        names,
        model=models,
        price=st.sampled_from(["api", "gpu"]),
        bounds=st.builds(
            limits,
            context_tokens=st.sampled_from([512, 2048, 8192]),
            max_output_tokens=st.sampled_from([256, 4096]),
            concurrency=st.integers(1, 4),
            gpu_memory_gb=st.sampled_from([None, 6.0, 24.0]),
        ),
        cold=st.sampled_from([None, SERVERLESS]),
        continues=st.sampled_from(ContinuationMode),
        residency=st.sampled_from([None, "eu", "us"]),
        decode_tokens_s=st.floats(min_value=1, max_value=500),
    ),
    max_size=8,
    unique_by=lambda each: each.name,
).map(lambda made: fleet(*made))

moments = st.none() | st.floats(min_value=NOW - 1000, max_value=NOW + 1000)


@st.composite
def states_of(draw: st.DrawFn, known: Fleet) -> Mapping[str, BackendState]:
    return {
        name: replace(
            initial_state(each),
            warmth=Warmth(warm_until=draw(moments)),
            health=BackendHealth(cooldown_until=draw(moments), circuit_open_until=draw(moments)),
            load=Load(in_flight={f"attempt_{n}": NOW + 10 for n in range(draw(st.integers(0, 9)))}),
        )
        for name, each in known.backends.items()
        if draw(st.booleans())
    }


demands = st.builds(
    Demand,
    model=st.sampled_from(["auto", "auto", "small", "large", "auto@a", "none"]),
    attempt_limits=st.builds(
        AttemptLimits, hold_s=st.floats(min_value=1, max_value=120), handover_s=st.floats(min_value=1, max_value=600)
    ),
    input_tokens=st.integers(0, 9000),
    output_tokens=st.integers(1, 5000),
    expected_output_tokens=st.none() | st.integers(1, 500),
    ceiling_input_tokens=st.none() | st.integers(0, 40_000),
    needs=st.sampled_from([frozenset[Capability](), frozenset({Capability.TOOLS})]),
    deadline_s=st.none() | st.floats(min_value=-5, max_value=1000),
    excluded=st.dictionaries(names, st.just("broken"), max_size=3),
    tier=st.sampled_from([None, "1", "premium"]),
    budget=st.none() | st.decimals(min_value=0, max_value=1, places=4),
    residencies=st.sampled_from([frozenset[str](), frozenset({"eu"})]),
)

worlds = fleets.flatmap(lambda known: st.tuples(st.just(known), states_of(known)))


@given(worlds, demands)
def test_every_backend_is_a_candidate_or_rejected_and_the_pick_is_the_best_candidate(
    world: tuple[Fleet, Mapping[str, BackendState]], wanted: Demand
) -> None:
    known, states = world
    found = route(wanted, known, states, NOW)
    candidates = [each.backend for each in found.candidates]
    rejected = [each.backend for each in found.rejected]
    if found.problem in {None, RouteProblem.NONE_FEASIBLE}:
        assert sorted(candidates + rejected) == sorted(known.backends)
    assert found.backend == (candidates[0] if candidates else None)
    assert (found.problem is None) == (found.backend is not None)
    assert not set(candidates) & wanted.excluded.keys()
    likely = [each for each in found.candidates if not each.is_last] or found.candidates
    assert all(each.score >= found.candidates[0].score for each in likely)  # may be empty: no route
    assert all(each.score == sum(each.terms.values()) for each in found.candidates)  # may be empty: no route
    assert all(each.reason and each.code for each in found.rejected)  # may be empty: every backend may be accepted


@given(worlds, demands)
def test_the_order_of_the_fleet_does_not_matter(
    world: tuple[Fleet, Mapping[str, BackendState]], wanted: Demand
) -> None:
    known, states = world
    backwards = replace(known, backends={name: known.backends[name] for name in reversed(list(known.backends))})
    there, back = route(wanted, known, states, NOW), route(wanted, backwards, states, NOW)
    assert (there.backend, there.candidates, there.rejected) == (back.backend, back.candidates, back.rejected)


@given(worlds, demands, st.decimals(min_value=0, max_value=1, places=4), st.floats(min_value=0, max_value=1000))
def test_more_money_or_time_never_takes_a_candidate_away(
    world: tuple[Fleet, Mapping[str, BackendState]], wanted: Demand, money: Decimal, time_s: float
) -> None:
    known, states = world
    richer = replace(
        wanted,
        budget=None if wanted.budget is None else wanted.budget + money,
        deadline_s=None if wanted.deadline_s is None else wanted.deadline_s + time_s,
    )
    before = {each.backend for each in route(wanted, known, states, NOW).candidates}
    after = {each.backend for each in route(richer, known, states, NOW).candidates}
    assert before <= after


@given(worlds, demands, st.data())
def test_no_attempt_within_its_bounds_costs_more_than_was_reserved(
    world: tuple[Fleet, Mapping[str, BackendState]], wanted: Demand, data: st.DataObject
) -> None:
    known, states = world
    for each in route(wanted, known, states, NOW).candidates:
        most_input = max(wanted.input_tokens, wanted.ceiling_input_tokens or 0)
        work = BackendWork(
            input_tokens=data.draw(st.integers(0, most_input)),
            cached_tokens=data.draw(st.integers(0, most_input)),
            output_tokens=data.draw(st.integers(0, each.output_tokens)),
            busy_s=data.draw(st.floats(min_value=0, max_value=each.worst_s)),
        )
        assert attempt_cost(known.backends[each.backend].price, work) <= each.worst_cost
        assert each.cost <= each.worst_cost
        assert wanted.budget is None or each.worst_cost <= wanted.budget


@given(worlds, demands)
def test_a_route_survives_json(world: tuple[Fleet, Mapping[str, BackendState]], wanted: Demand) -> None:
    known, states = world
    found = route(wanted, known, states, NOW)
    stored = json.loads(json.dumps(route_to_document(found)))
    assert route_to_document(route_from_document(stored)) == stored
    assert [each.backend for each in route_from_document(stored).candidates] == [
        each.backend for each in found.candidates
    ]


def test_a_route_reads_well_as_json() -> None:
    document = route_to_document(decide(API, NARROW, input_tokens=3000))
    assert document["backend"] == "api"
    assert document["candidates"][0]["cost_usd"] == "0.002000000"
    assert document["candidates"][0]["terms_usd"] == {"cost": "0.002000000", "waiting": "0.0026000"}
    assert document["refused"] == [
        {
            "backend": "narrow",
            "code": "window",
            "reason": "the turn needs 3,500 tokens (estimated from its bytes); the context window has 2,048",
            "retry_in_s": None,
        }
    ]


def test_a_demand_that_excludes_nothing_can_t_be_changed_by_another() -> None:
    assert demand().excluded == MappingProxyType({})


def test_a_reason_names_the_time_that_the_record_keeps() -> None:
    found = decide(API, input_tokens=100).candidates[0]
    between = replace(found, found=replace(found.found, seconds=0.54996))
    [kept] = route_from_document(route_to_document(replace(decide(API), candidates=(between,)))).candidates
    assert kept.reason == between.reason
