"""Does each filter of the router reject exactly the backends that it names, and say when they may be tried again?"""

from copy import replace
from typing import Any

import pytest

from domain.content.capabilities import Capability
from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend, ImageMode, LogprobsMode, Model
from domain.fleet.cold_start import FailedWarmUp
from domain.log.capped_answers import CappedAnswer
from domain.routing.estimates import Demand, Readiness, RoutingOption
from domain.routing.filters import (
    Filters,
    ModelChoice,
    by_images,
    by_logprobs,
    by_memory,
    by_room,
    by_time,
    by_warm_up,
    filters_for,
    left,
    pause_of,
    rejection_before_estimate,
)
from domain.routing.work.durations import Durations
from tests.domain.fleets import ATTEMPT_LIMITS, LARGE, SERVERLESS, SMALL, backend, limits

NOW = 1_000_000.0
ANY = ModelChoice(model=None, backend=None, tier=1)
FAILED = FailedWarmUp(at=NOW - 10.0, again_at=NOW + 2.0006, tries=1, final=False, reason="no GPU is free")


def demand(*needs: Capability, **changes: Any) -> Demand:
    fields: dict[str, Any] = {"input_tokens": 500, "output_tokens": 500, "attempt_limits": ATTEMPT_LIMITS}
    fields["needs"] = frozenset(needs)
    return Demand(**(fields | changes))


def option(of: Backend, model: Model = SMALL, state: BackendState | None = None, **changes: Any) -> RoutingOption:
    return replace(RoutingOption(of, model, of.price, state or initial_state(of), NOW), **changes)


@pytest.mark.parametrize(
    ("mode", "needs", "fits"),
    [
        (ImageMode.DATA, (Capability.IMAGE_ADDRESS,), False),
        (ImageMode.ADDRESS, (Capability.IMAGE_ADDRESS,), True),
        (ImageMode.FETCH, (Capability.IMAGE_ADDRESS,), True),
        (ImageMode.DATA, (), True),
    ],
)
def test_images_by_address_go_to_backends_that_take_addresses(
    mode: ImageMode, needs: tuple[Capability, ...], *, fits: bool
) -> None:
    assert (by_images(option(replace(backend("one"), images=mode)), demand(*needs)) is None) is fits


ALONE, WITH_TOOLS = (Capability.LOGPROBS,), (Capability.LOGPROBS, Capability.TOOLS)
TALKER = replace(LARGE, capabilities=LARGE.capabilities - {Capability.TOOLS})


@pytest.mark.parametrize(
    ("mode", "model", "needs", "reason"),
    [
        (LogprobsMode.NO, LARGE, ALONE, "returns none"),
        (LogprobsMode.NO, LARGE, (Capability.TOOLS,), None),
        (LogprobsMode.YES, LARGE, ALONE, None),
        (LogprobsMode.YES, LARGE, WITH_TOOLS, None),
        (LogprobsMode.YES, TALKER, WITH_TOOLS, "can't do both"),
        (LogprobsMode.YES, TALKER, ALONE, None),
        (LogprobsMode.TEXT, LARGE, WITH_TOOLS, "can't do both"),
        (LogprobsMode.TEXT, TALKER, WITH_TOOLS, "can't do both"),
        (LogprobsMode.TEXT, LARGE, ALONE, None),
    ],
)
def test_probabilities_beside_tools_need_a_backend_and_a_model_that_do_both(
    mode: LogprobsMode, model: Model, needs: tuple[Capability, ...], reason: str | None
) -> None:
    found = by_logprobs(option(replace(backend("one"), logprobs=mode), model), demand(*needs))
    assert (found is None) if reason is None else (found is not None and reason in found)


def warm_up(failed: FailedWarmUp | None, readiness: Readiness = Readiness.COLD) -> RoutingOption:
    gpu = backend("gpu", cold=SERVERLESS)
    state = initial_state(gpu)
    return option(gpu, state=replace(state, warmth=replace(state.warmth, failed_warm_up=failed)), readiness=readiness)


def test_a_failed_warm_up_closes_a_cold_backend_until_it_may_be_tried_again() -> None:
    found = by_warm_up(warm_up(FAILED), demand(admitted_at=NOW))
    assert found is not None
    assert (found.backend, found.code, found.retry_in_s) == ("gpu", "wake", 2.001)
    assert found.reason == "it is cold and its last warm-up failed: no GPU is free"


@pytest.mark.parametrize("readiness", [Readiness.UP, Readiness.STARTING])
def test_a_backend_that_is_up_or_starts_forgets_its_failed_warm_up(readiness: Readiness) -> None:
    assert by_warm_up(warm_up(FAILED, readiness), demand(admitted_at=NOW)) is None


def test_a_warm_up_may_be_sent_again_from_its_very_moment() -> None:
    assert by_warm_up(warm_up(replace(FAILED, again_at=NOW)), demand(admitted_at=NOW)) is None
    assert by_warm_up(warm_up(None), demand(admitted_at=NOW)) is None


@pytest.mark.parametrize(("admitted_at", "retry_in_s"), [(NOW - 20.0, None), (NOW - 10.0, None), (NOW - 9.0, 2.001)])
def test_a_final_failure_ends_the_turns_that_waited_for_it_alone(admitted_at: float, retry_in_s: float | None) -> None:
    found = pause_of(warm_up(replace(FAILED, final=True)), demand(admitted_at=admitted_at))
    assert found is not None
    assert found.retry_in_s == retry_in_s


def room(tokens: int) -> Durations:
    return Durations(10.0, 10.0, 0.0, 0.0, 30.0, 10.0, tokens, 500, 0, 500, 1008, 50.0)


def test_a_turn_that_wants_one_token_needs_room_for_it() -> None:
    assert by_room(room(1), demand(output_tokens=1)) is None
    assert by_room(room(0), demand(output_tokens=0)) is None
    assert by_room(room(0), demand(output_tokens=1)) is not None


def test_the_reason_tells_an_answer_at_its_cap_from_one_without_time() -> None:
    capped = demand(capped=CappedAnswer("main", 5))
    assert "has reached its reserved output tokens" in str(by_room(room(0), capped))
    assert "leaves no time to write one" in str(by_room(room(0), demand()))


def codes(filters: Filters) -> set[str]:
    rows = (*filters.choice_filters, *filters.demands, *filters.estimates)
    return {code for code, _ in rows}


def test_a_filter_without_a_demand_is_left_out() -> None:
    assert codes(filters_for(demand(), ANY)) == {"window", "output", "memory", "schedule", "room"}
    asked = demand(Capability.TOOLS, deadline_s=0.0, request_bytes=1)
    assert codes(filters_for(asked, ModelChoice(model="small", backend=None, tier=2))) == {
        *(
            "pin",
            "tier",
            "capability",
            "images",
            "logprobs",
            "payload",
            "window",
            "output",
            "memory",
            "schedule",
            "room",
        ),
        "deadline",
    }
    assert "deadline" not in codes(filters_for(demand(deadline_s=9.0, capped=CappedAnswer("main", 5)), ANY))
    assert "pin" in codes(filters_for(demand(), replace(ANY, backend="one")))


def test_a_tier_excludes_lesser_models_and_the_pin_every_other_backend() -> None:
    one = option(backend("one"))
    for choice, code in (
        (replace(ANY, tier=2), "tier"),
        (replace(ANY, backend="two"), "pin"),
        (replace(ANY, model="large"), "pin"),
    ):
        found = rejection_before_estimate(one, filters_for(demand(), choice))
        assert found is not None
        assert found.code == code
    for choice in (ANY, replace(ANY, backend="one"), replace(ANY, model="small")):
        assert rejection_before_estimate(one, filters_for(demand(), choice)) is None


@pytest.mark.parametrize(("until", "seconds"), [(None, None), (NOW - 1, None), (NOW, None), (NOW + 1.5, 1.5)])
def test_a_pause_is_over_at_its_very_end(until: float | None, seconds: float | None) -> None:
    assert left(until, NOW) == seconds


def test_a_turn_that_ends_at_its_deadline_with_its_longest_answer_is_in_time() -> None:
    for seconds, fits in ((10.0, True), (10.001, False)):
        assert (by_time(replace(room(1), seconds=5.0, long_seconds=seconds), demand(deadline_s=10.0)) is None) is fits


@pytest.mark.parametrize(("memory_gb", "fits"), [(None, True), (24.0, True), (1.0, False)])
def test_memory_matters_only_where_it_is_known(memory_gb: float | None, *, fits: bool) -> None:
    one = option(backend("one", bounds=limits(gpu_memory_gb=memory_gb)))
    assert (by_memory(one, demand()) is None) is fits
