"""Why can't a backend serve this turn?"""

from collections.abc import Callable, Mapping
from copy import replace
from typing import Final

from msgspec import Struct

from domain.content.capabilities import Capability
from domain.fleet.catalog import ImageMode, LogprobsMode
from domain.fleet.instances.memory import why_too_large
from domain.routing.estimates import Demand, Estimate, Readiness, RoutingOption
from domain.routing.work.durations import Durations
from domain.tokens.counts import CountedBy
from domain.tokens.estimates import fits, memory_gb, usable_gb

LATE: Final = "deadline"
"""The code of a backend that takes too long."""

BUDGET: Final = "budget"
"""The code of a backend that may cost more than is left."""

WARM_UP_FAILED: Final = "wake"
"""The code of a cold backend whose last warm-up failed."""

LOOK_AGAIN_S: Final = 2.0
"""How long a turn waits while another turn tries the backend, in seconds."""

COUNTED: Final[Mapping[CountedBy, str]] = {
    CountedBy.ESTIMATE: "estimated from its bytes",
    CountedBy.TOKENIZER: "counted with the tokenizer of {}",
    CountedBy.BACKEND: "counted by a backend of {}",
}
"""How the tokens of the input were counted, with the name of the model."""


OF_BACKENDS: Final = frozenset({Capability.IMAGE_ADDRESS, Capability.LOGPROBS})
"""The capabilities that have filters of their own."""


class Rejection(Struct, frozen=True, kw_only=True):
    """The first filter that failed. `code` names it; `retry_in_s` says when the backend may be eligible again."""

    backend: str
    code: str
    reason: str
    retry_in_s: float | None = None


class ModelChoice(Struct, frozen=True, kw_only=True):
    """The choice of the caller: the pinned model, the pinned backend, and the lowest quality tier."""

    model: str | None
    backend: str | None
    tier: int


def by_pin(option: RoutingOption, choice: ModelChoice) -> str | None:
    if choice.model not in {None, option.model.name}:
        return f"the caller requested the model {choice.model}; this backend serves {option.model.name}"
    if choice.backend not in {None, option.backend.name}:
        return f"the caller requested the backend {choice.backend}"
    return None


def by_tier(option: RoutingOption, choice: ModelChoice) -> str | None:
    if option.model.tier < choice.tier:
        return f"the turn needs quality tier {choice.tier}; {option.model.name} has tier {option.model.tier}"
    return None


def by_exclusion(option: RoutingOption, demand: Demand) -> str | None:
    why = demand.excluded.get(option.backend.name)
    return None if why is None else f"excluded from this turn: {why}"


def by_capability(option: RoutingOption, demand: Demand) -> str | None:
    if missing := demand.needs - option.model.abilities - OF_BACKENDS:
        return f"the turn needs {', '.join(sorted(missing))}, which {option.model.name} does not support"
    if missing := demand.needs & option.backend.inexpressible:
        names = ", ".join(sorted(missing))
        return f"the turn needs {names}, which the adapter {option.backend.adapter} of this backend cannot express"
    return None


def by_images(option: RoutingOption, demand: Demand) -> str | None:
    if Capability.IMAGE_ADDRESS not in demand.needs or option.backend.images is not ImageMode.DATA:
        return None
    return 'the turn names images by address; this backend takes them as data (images = "data" in the fleet file)'


def by_logprobs(option: RoutingOption, demand: Demand) -> str | None:
    if Capability.LOGPROBS not in demand.needs:
        return None
    if option.backend.logprobs is LogprobsMode.NO:
        return 'the turn asks for log probabilities; this backend returns none (logprobs = "no" in the fleet file)'
    is_held = Capability.TOOLS not in option.model.capabilities
    if Capability.TOOLS in demand.needs and (is_held or option.backend.logprobs is not LogprobsMode.YES):
        return "the turn asks for log probabilities and has tools; this backend can't do both"
    return None


def by_residency(option: RoutingOption, demand: Demand) -> str | None:
    if not demand.residencies or option.backend.residency in demand.residencies:
        return None
    allowed = " or ".join(sorted(demand.residencies))
    return f"data must stay in {allowed}; this backend is in {option.backend.residency or 'an unknown region'}"


def by_payload(option: RoutingOption, demand: Demand) -> str | None:
    limit = option.backend.limits.request_bytes
    if limit is None or demand.request_bytes <= limit:
        return None
    return f"the request has {demand.request_bytes:,} bytes; this backend accepts {limit:,}"


def by_window(option: RoutingOption, demand: Demand) -> str | None:
    needed = demand.window_tokens
    if needed <= option.backend.limits.context_tokens and needed <= option.model.context_tokens:
        return None
    how = COUNTED[demand.counted_by].format(option.model.name)
    return f"the turn needs {needed:,} tokens ({how}); the context window has {option.window:,}"


def by_output(option: RoutingOption, demand: Demand) -> str | None:
    limit = option.backend.limits.max_output_tokens
    if demand.is_open_ended or demand.output_tokens <= limit:
        return None
    return f"the answer may have {demand.output_tokens:,} tokens; this backend writes at most {limit:,}"


def by_memory(option: RoutingOption, demand: Demand) -> str | None:
    limits = option.backend.limits
    if limits.gpu_memory_gb is None or fits(option.model, limits, demand.window_tokens):
        return why_too_large(limits, demand.window_tokens)
    need = memory_gb(option.model, demand.window_tokens, value_bytes=limits.kv_value_bytes) or 0.0
    return f"the turn needs {need:.1f} GB of GPU memory; {usable_gb(limits) or 0.0:.1f} GB are usable"


def by_schedule(option: RoutingOption, demand: Demand) -> str | None:  # noqa: ARG001 - the filters' own
    return option.closed_by_schedule


def by_circuit(option: RoutingOption) -> float | None:
    return left(option.backend_state.health.circuit_open_until, option.now)


def by_probe(option: RoutingOption) -> float | None:
    return LOOK_AGAIN_S if option.backend_state.health.is_probed(option.now) else None


def by_cooldown(option: RoutingOption) -> float | None:
    return left(option.backend_state.health.cooldown_until, option.now)


def by_warm_up(option: RoutingOption, demand: Demand) -> Rejection | None:
    """Reject a cold backend after a failed warm-up: for a while, or finally for turns that waited."""
    failed = option.backend_state.warmth.failed_warm_up
    if failed is None or option.readiness is not Readiness.COLD or not failed.blocks(option.now):
        return None
    again_s = None if failed.ends_turn(demand.admitted_at) else round(failed.again_at - option.now, 3)
    reason = f"it is cold and its last warm-up failed: {failed.reason}"
    return Rejection(backend=option.backend.name, code=WARM_UP_FAILED, reason=reason, retry_in_s=again_s)


def by_time(found: Estimate | Durations, demand: Demand) -> str | None:
    if demand.deadline_s is None or (found.seconds <= demand.deadline_s and found.long_seconds <= demand.deadline_s):
        return None
    seconds = max(found.seconds, found.long_seconds)
    return f"the turn takes an estimated {seconds:,.1f} s; {max(0.0, demand.deadline_s):,.1f} s are left"


def by_budget(found: Estimate, demand: Demand) -> str | None:
    if demand.budget is None or found.worst_cost <= demand.budget:
        return None
    return f"the turn may cost up to ${found.worst_cost:.6f}; ${demand.budget:.6f} are left"


def by_room(found: Estimate | Durations, demand: Demand) -> str | None:
    if found.output_tokens > 0 or demand.output_tokens <= 0:
        return None
    if demand.capped:
        return "the answer has reached its reserved output tokens; this backend has no room for more of it"
    return "this backend can't continue an answer, and a single attempt leaves no time to write one"


MODEL_FILTERS: Final[tuple[tuple[str, Callable[[RoutingOption, ModelChoice], str | None]], ...]] = (
    ("pin", by_pin),
    ("tier", by_tier),
)

DEMAND_FILTERS: Final[tuple[tuple[str, Callable[[RoutingOption, Demand], str | None]], ...]] = (
    ("excluded", by_exclusion),
    ("capability", by_capability),
    ("images", by_images),
    ("logprobs", by_logprobs),
    ("residency", by_residency),
    ("payload", by_payload),
    ("window", by_window),
    ("output", by_output),
    ("memory", by_memory),
    ("schedule", by_schedule),
)

PAUSE_FILTERS: Final[tuple[tuple[str, str, Callable[[RoutingOption], float | None]], ...]] = (
    ("circuit", "it failed {errors} times in a row; no requests for another {left:.1f} s", by_circuit),
    ("probe", "it failed {errors} times in a row; another turn is trying it", by_probe),
    ("cooldown", "it is throttled for another {left:.1f} s", by_cooldown),
)

DURATION_FILTERS: Final[tuple[tuple[str, Callable[[Estimate | Durations, Demand], str | None]], ...]] = (
    ("room", by_room),
    (LATE, by_time),
)

COST_FILTERS: Final[tuple[tuple[str, Callable[[Estimate, Demand], str | None]], ...]] = ((BUDGET, by_budget),)


class Filters(Struct, frozen=True):
    """The demand of a turn and the filters that apply to it. A filter without a demand is left out.

    `durations` are those of `estimates` that need no cost.
    `counted` is the demand for each model that the tokens of the input were counted for.
    """

    model_choice: ModelChoice
    demand: Demand
    counted: Mapping[str, Demand]
    choice_filters: tuple[tuple[str, Callable[[RoutingOption, ModelChoice], str | None]], ...]
    demands: tuple[tuple[str, Callable[[RoutingOption, Demand], str | None]], ...]
    durations: tuple[tuple[str, Callable[[Estimate | Durations, Demand], str | None]], ...]
    estimates: tuple[tuple[str, Callable[[Estimate, Demand], str | None]], ...]

    def for_model(self, model: str) -> "Filters":
        """Return the filters with the demand of the turn on a model."""
        return replace(self, demand=self.counted[model]) if model in self.counted else self


def filters_for(demand: Demand, choice: ModelChoice) -> Filters:
    asked: Mapping[str, object] = {
        "pin": choice.model or choice.backend,
        "tier": choice.tier > 1,
        "excluded": demand.excluded,
        "capability": demand.needs,
        "images": demand.needs,
        "logprobs": demand.needs,
        "residency": demand.residencies,
        "payload": demand.request_bytes,
        LATE: demand.deadline_s is not None and demand.capped is None,
        BUDGET: demand.budget is not None,
    }
    durations = tuple(row for row in DURATION_FILTERS if asked.get(row[0], True))
    return Filters(
        model_choice=choice,
        demand=demand,
        counted={model: demand.for_model(model) for model in demand.counts},
        choice_filters=tuple(row for row in MODEL_FILTERS if asked.get(row[0], True)),
        demands=tuple(row for row in DEMAND_FILTERS if asked.get(row[0], True)),
        durations=durations,
        estimates=(*durations, *(row for row in COST_FILTERS if asked.get(row[0], True))),
    )


def rejection_before_estimate(option: RoutingOption, filters: Filters) -> Rejection | None:
    """Return the first rejection that is known without an estimate."""
    for code, check_choice in filters.choice_filters:
        if reason := check_choice(option, filters.model_choice):
            return Rejection(backend=option.backend.name, code=code, reason=reason)
    for code, check_demand in filters.demands:
        if reason := check_demand(option, filters.demand):
            return Rejection(backend=option.backend.name, code=code, reason=reason)
    return pause_of(option, filters.demand) if option.backend_state.is_failing else None


def pause_of(option: RoutingOption, demand: Demand) -> Rejection | None:
    """Return why a backend that could serve the turn gets no requests for now."""
    if refusal := by_warm_up(option, demand):
        return refusal
    for code, text, pause in PAUSE_FILTERS:
        if left_s := pause(option):
            reason = text.format(errors=option.backend_state.health.errors, left=left_s)
            return Rejection(backend=option.backend.name, code=code, reason=reason, retry_in_s=round(left_s, 3))
    return None


def rejection_after_estimate(option: RoutingOption, found: Estimate, filters: Filters) -> Rejection | None:
    """Return the first rejection that follows from the estimate."""
    for code, check in filters.estimates:
        if reason := check(found, filters.demand):
            return Rejection(backend=option.backend.name, code=code, reason=reason)
    return None


def is_in_time(found: Durations, filters: Filters) -> bool:
    """Return whether no filter rejects a backend for how long it takes and how much it may write."""
    return not any(check(found, filters.demand) for _, check in filters.durations)


def left(until: float | None, now: float) -> float | None:
    return None if until is None or until <= now else until - now
