"""Is a GPU warmed up only for turns that it would get?"""

from copy import replace
from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend, Speed
from domain.fleet.load import Load, QueuePlace
from domain.fleet.state_updates import after_queueing, after_warm_up
from domain.fleet.warmth import Warmth
from domain.money.prices import TokenPrice
from domain.routing.estimates import Demand, Readiness
from domain.routing.rent_or_buy import DEFAULT_RULE, SpendPart, unspent
from domain.routing.router import RouteDecision, route
from tests.domain.fleets import API as API_PRICE
from tests.domain.fleets import ATTEMPT_LIMITS, SERVERLESS, backend, fleet, limits

NOW = 1_000_000.0
WIDE = limits(context_tokens=131072, max_output_tokens=32768)
API = backend("api", model="large", price="api", bounds=WIDE)
FAST_API = backend("api", model="large", price="api", bounds=WIDE, decode_tokens_s=1000)
SLOW_GPU = backend("gpu", cold=SERVERLESS, decode_tokens_s=5)
PAID = Decimal(10)
"""More rental spend than any session costs."""

speeds = st.sampled_from([5.0, 20.0, 50.0, 200.0, 2000.0])
readiness = st.sampled_from(["cold", "starting", "up", "full"])
deadlines = st.none() | st.floats(min_value=0, max_value=700)
dollars = st.decimals(min_value=0, max_value=1, places=4)


def demand(deadline_s: float | None = None, output: int = 200) -> Demand:
    return Demand(
        attempt_limits=ATTEMPT_LIMITS,
        input_tokens=500,
        output_tokens=500,
        expected_output_tokens=output,
        deadline_s=deadline_s,
    )


def state_of(gpu: Backend, kind: str) -> BackendState:
    initial = initial_state(gpu)
    up = replace(initial, warmth=Warmth(warm_until=NOW + 300))
    match kind:
        case "starting":
            return after_warm_up(initial, gpu, by="another", now=NOW - 10) or initial
        case "new":
            return replace(initial, warmth=Warmth(warm_until=NOW + gpu.cold_start.idle_s))
        case "up":
            return up
        case "full":
            return replace(up, load=Load(in_flight={f"attempt {number}": NOW + 60 for number in range(9)}))
        case _:
            return initial


def test_a_gpu_that_would_not_be_picked_when_up_is_never_warmed_up() -> None:
    for deadline_s in (None, 30.0):
        found = route(demand(deadline_s), fleet(FAST_API, SLOW_GPU), {}, NOW, spent={"gpu": PAID})
        assert (found.backend, found.warm_up, dict(found.savings)) == ("api", None, {})
        assert route(demand(), fleet(FAST_API, SLOW_GPU), {"gpu": state_of(SLOW_GPU, "up")}, NOW).backend == "api"


def test_a_gpu_that_is_too_slow_for_the_deadline_even_when_up_is_never_warmed_up() -> None:
    found = route(demand(deadline_s=30), fleet(API, SLOW_GPU), {}, NOW, spent={"gpu": PAID})
    assert (found.backend, found.warm_up) == ("api", None)


def test_a_backend_saves_the_alternative_less_its_waiting() -> None:
    gpu = backend("gpu", cold=SERVERLESS)
    found = route(demand(), fleet(API, gpu), {}, NOW)
    (api,) = [each for each in found.candidates if each.backend == "api"]
    (cold,) = [each for each in found.candidates if each.backend == "gpu"]
    assert dict(found.savings) == {"gpu": api.score - Decimal("0.0002") * Decimal(str(cold.busy_s))}


def test_a_line_that_waits_for_a_start_takes_nothing_from_what_the_gpu_saves() -> None:
    gpu = backend("gpu", cold=SERVERLESS)
    alone = state_of(gpu, "starting")
    crowded = alone
    for number in range(40):
        crowded = after_queueing(crowded, f"turn {number}", QueuePlace(NOW - 5, NOW + 60), now=NOW)
    found, short = (route(demand(), fleet(API, gpu), {"gpu": state}, NOW) for state in (crowded, alone))
    waiting = {each.backend: each.found.queue_s for each in found.candidates}
    assert waiting["gpu"] > 0
    assert dict(found.savings) == dict(short.savings) != {}


def test_the_window_follows_the_learned_start_as_the_price_does() -> None:
    gpu = backend("gpu", cold=SERVERLESS)
    initial = initial_state(gpu)
    slow = replace(initial, start_times=replace(initial.start_times, p50_s=300.0))
    for state in (initial, slow):
        (cold,) = [each for each in route(demand(), fleet(API, gpu), {"gpu": state}, NOW).candidates if each.session]
        assert cold.session
        assert cold.session.window_s == DEFAULT_RULE.window * (gpu.cold_start.idle_s + state.start_times.p50_s)


def test_a_warm_gpu_leaves_a_second_one_nothing_to_save() -> None:
    first, second = (backend(name, cold=SERVERLESS) for name in ("first", "second"))
    for kind in ("up", "starting"):
        states = {"first": state_of(first, kind)}
        spent = {"first": PAID, "second": PAID}
        found = route(demand(), fleet(API, first, second), states, NOW, spent=spent)
        assert found.backend == "first"
        assert (found.warm_up, set(found.savings)) == (None, {"first"})
        urgent = route(demand(deadline_s=30), fleet(API, first, second), states, NOW, spent=spent)
        assert urgent.warm_up is None


def test_spend_that_bought_a_session_counts_for_no_other_backend() -> None:
    part = SpendPart(began=NOW, amount=Decimal(5), shared={"first": Decimal(3), "third": Decimal(1)})
    assert unspent((part,), {}) == 5
    assert unspent((part,), {"first": NOW - 1}) == 5
    assert unspent((part,), {"first": NOW + 1}) == 2
    assert unspent((part,), {"first": NOW + 1, "third": NOW + 1}) == 1
    assert unspent((part, replace(part, began=NOW + 2)), {"first": NOW + 1}) == 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """GPUs in some state, each with its speed and its rental spend, and an API or none."""

    gpus: list[tuple[str, float, Decimal]]
    api_speed: float | None
    output: int
    api_price: TokenPrice = API_PRICE

    @property
    def backends(self) -> list[Backend]:
        gpus = [backend(name, cold=SERVERLESS, decode_tokens_s=speed) for name, (_, speed, _) in self.by_name.items()]
        return [*gpus, *([self.api] if self.api_speed else [])]

    @property
    def by_name(self) -> dict[str, tuple[str, float, Decimal]]:
        return {f"gpu-{at}": each for at, each in enumerate(self.gpus)}

    @property
    def api(self) -> Backend:
        speed = Speed(prefill_tokens_s=1000, decode_tokens_s=self.api_speed or 50)
        return replace(API, speed=speed, price=self.api_price)

    def decide(self, deadline_s: float | None = None, *, up: str | None = None) -> RouteDecision:
        known = fleet(*self.backends)
        states = {
            name: state_of(known.backends[name], "new" if name == up else kind)
            for name, (kind, _, _) in self.by_name.items()
        }
        spent = {name: amount for name, (_, _, amount) in self.by_name.items()}
        return route(demand(deadline_s, self.output), known, states, NOW, spent=spent)


scenes = st.builds(
    Scene,
    gpus=st.lists(st.tuples(readiness, speeds, dollars), min_size=1, max_size=3),
    api_speed=st.none() | speeds,
    output=st.integers(1, 500),
)


@given(scene=scenes, deadline_s=deadlines)
def test_whatever_is_warmed_up_for_turns_to_come_would_get_this_turn(scene: Scene, deadline_s: float | None) -> None:
    found = scene.decide(deadline_s)
    if found.warm_up is not None and found.warm_up != found.backend:
        assert scene.decide(deadline_s, up=found.warm_up).backend == found.warm_up


@given(scene=scenes, shorter_s=st.floats(0, 700), longer_s=st.floats(0, 700))
def test_more_time_never_leaves_fewer_backends(scene: Scene, shorter_s: float, longer_s: float) -> None:
    few, many = ({each.backend for each in scene.decide(left_s).candidates} for left_s in sorted((shorter_s, longer_s)))
    assert few <= many


@given(scene=scenes, cheaper=dollars, dearer=dollars)
def test_a_dearer_api_is_never_picked_where_the_cheaper_one_was_not(
    scene: Scene, cheaper: Decimal, dearer: Decimal
) -> None:
    low, high = (replace(API_PRICE, output=100 * amount) for amount in sorted((cheaper, dearer)))
    first, second = replace(scene, api_price=low).decide(), replace(scene, api_price=high).decide()
    assert first.backend == "api" or second.backend != "api"


@given(scene=scenes, deadline_s=deadlines)
def test_nothing_that_is_up_cheaper_and_faster_is_passed_over(scene: Scene, deadline_s: float | None) -> None:
    found = scene.decide(deadline_s).candidates
    for each in found[1:]:
        is_better = each.cost < found[0].cost and each.seconds < found[0].seconds and each.readiness is Readiness.UP
        assert not is_better or (found[0].session and found[0].session.pays)
