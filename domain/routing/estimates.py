"""What does a turn ask for, and how long would it take on a backend?"""

import math
from collections.abc import Mapping
from copy import replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self

from msgspec import Struct, field

from domain.content.capabilities import Capability
from domain.fleet.backend_state import BackendState
from domain.fleet.caller_rules import DEFAULT_TIME_VALUE
from domain.fleet.catalog import AUTO, Backend, ContinuationMode, Model
from domain.fleet.instances.places import longest_start_s, places
from domain.log.capped_answers import CappedAnswer
from domain.money.prices import Price
from domain.routing.answer_lengths import AnswerLength, CachedPrefix
from domain.routing.rent_or_buy import DEFAULT_RULE, NOTHING, Rule
from domain.routing.reservations import next_reservation
from domain.tokens.counts import NOT_COUNTED, CountedBy, TokenCount

SLOW: Final = 2.0
"""The worst case of an attempt is this many times slower than the learned speed."""

LEAST_WORST_S: Final = 30.0
"""A machine that is busy with other work is slower than its learned speed: every attempt may run for this long."""

NO_ANSWERS: Final[Mapping[str, AnswerLength]] = MappingProxyType({})
NOTHING_EXCLUDED: Final[Mapping[str, str]] = MappingProxyType({})


class AttemptLimits(Struct, frozen=True, kw_only=True):
    """How long one attempt may take, in seconds, as the settings say.

    A backend that is starting may hold the request for `hold_s`. After `handover_s` the attempt hands over to the next
    one; an answer of a backend that can't continue must fit into this time.
    """

    hold_s: float
    handover_s: float


class Demand(Struct, frozen=True, kw_only=True):
    """What a turn asks for. `model` is auto, a model or model@backend; `deadline_s` is the time left, `budget` the
    dollars left, `time_value` the dollars that a second of waiting is worth; `admitted_at` is seconds since the epoch.

    `input_tokens` is judged against windows, and `output_tokens` is the limit of the answer: the caller's, or where
    `is_open_ended` the least that its first attempt reserves. `capped` is the answer that has reached its cap before,
    which goes on at its backend if that can take it. What is expected of both
    gives the score, and `ceiling_input_tokens` the worst case of the cost; each is the judged figure where it is not
    known. `answers` is the learned length of an answer by model: where known, the mean replaces what is expected of
    the output, and the high quantile is compared with the deadline. `cached` is what a backend has of the input in its
    prompt cache: it counts in the expected seconds and cost, never in the worst case. `counts` are the tokens of the
    input for each model that they were counted for; they replace the three figures. `excluded` tells why a backend
    is out. `residencies` are those allowed; empty allows all. The turn's own place, by `response`, is no wait.
    """

    input_tokens: int
    output_tokens: int
    attempt_limits: AttemptLimits
    is_open_ended: bool = False
    capped: CappedAnswer | None = None
    response: str = ""
    model: str = AUTO
    expected_input_tokens: int | None = None
    expected_output_tokens: int | None = None
    answers: Mapping[str, AnswerLength] = field(default_factory=lambda: NO_ANSWERS)
    cached: CachedPrefix | None = None
    ceiling_input_tokens: int | None = None
    counts: Mapping[str, TokenCount] = field(default_factory=lambda: NOT_COUNTED)
    counted_by: CountedBy = CountedBy.ESTIMATE
    request_bytes: int = 0
    needs: frozenset[Capability] = frozenset()
    tier: str | None = None
    residencies: frozenset[str] = frozenset()
    deadline_s: float | None = None
    budget: Decimal | None = None
    time_value: Decimal = DEFAULT_TIME_VALUE
    excluded: Mapping[str, str] = field(default_factory=lambda: NOTHING_EXCLUDED)
    admitted_at: float = math.inf

    def expected_answer(self, model: str, most: int) -> tuple[int, int]:
        """Return the mean and the high quantile that are expected of an answer of at most `most` tokens."""
        known = self.answers.get(model) if self.answers else None
        if known:
            return min(most, known.mean), min(most, known.high)
        expected = self.expected_output_tokens
        return (most, most) if expected is None or expected > most else (expected, expected)

    def first_reservation(self, model: str) -> int:
        """Return what the first attempt of an answer reserves where the caller sets no limit."""
        known = self.answers.get(model)
        return max(self.output_tokens, known.high) if known else self.output_tokens

    def read_by(self, backend: Backend) -> Self:
        """Return the demand at a backend: one that continues an answer reads what was written of it."""
        written = self.capped.written if self.capped and backend.continues is not ContinuationMode.NO else 0
        if not written:
            return self
        expected, ceiling = self.expected_input_tokens, self.ceiling_input_tokens
        return replace(
            self,
            input_tokens=self.input_tokens + written,
            expected_input_tokens=None if expected is None else expected + written,
            ceiling_input_tokens=None if ceiling is None else ceiling + written,
        )

    def for_model(self, model: str) -> "Demand":
        """Return the demand with the input as it was counted for a model; the same where it was not."""
        count = self.counts.get(model)
        if count is None:
            return self
        return replace(
            self,
            input_tokens=count.tokens.likely,
            expected_input_tokens=count.tokens.expected,
            ceiling_input_tokens=count.tokens.ceiling,
            counted_by=count.counted_by,
        )

    @property
    def window_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def most_input_tokens(self) -> int:
        return max(self.ceiling_input_tokens or 0, self.input_tokens)


class Readiness(StrEnum):
    UP = "up"
    STARTING = "starting"
    COLD = "cold"


class RoutingOption(Struct, frozen=True):
    """One backend with its configuration and its state at one time.

    `remaining_start_s` is the expected time until it is up, if a warm-up is under way or begins now, and
    `slow_remaining_start_s` a slow one. Without new requests it stays up until `warm_until`. `rental_spend` is what it
    could have saved in recent turns if it had been up, in dollars; `rule` says what of it buys a session.
    """

    backend: Backend
    model: Model
    price: Price
    backend_state: BackendState
    now: float
    readiness: Readiness = Readiness.UP
    remaining_start_s: float = 0.0
    slow_remaining_start_s: float = 0.0
    warm_until: float | None = None
    rental_spend: Decimal = NOTHING
    rule: Rule = DEFAULT_RULE

    def waiting(self, demand: Demand) -> int:
        """Return the number of other turns that run now, or wait and come before this one."""
        load = self.backend_state.load
        if not (load.in_flight or load.queue_places):
            return 0
        others = load.without_place(demand.response)
        return load.running(self.now) + others.queued_before(demand.response, demand.admitted_at, self.now)

    @property
    def places(self) -> int:
        """How many requests may run at once."""
        return places(self.backend, self.backend_state, self.now)

    @property
    def window(self) -> int:
        return min(self.backend.limits.context_tokens, self.model.context_tokens)

    @property
    def closed_by_schedule(self) -> str | None:
        """Why a cold backend may not start now; None where it may."""
        control = self.backend.instances
        return control.closed(self.now) if control and self.readiness is Readiness.COLD else None

    def work_s(self, input_tokens: int, output_tokens: int) -> float:
        return (
            input_tokens / self.backend_state.speed.prefill_tokens_s
            + output_tokens / self.backend_state.speed.decode_tokens_s
        )


class Estimate(Struct, frozen=True):
    """What is expected, and the worst case that is reserved: `worst_s` is how long the attempt itself may run.

    `busy_s` of the seconds it is at work. `output_tokens` is how much the backend may write: what the turn allows, or
    less where it can't continue an answer that outlasts an attempt. `late_s` is by how much a slow start would pass the
    deadline. `long_seconds` is what is expected with a long answer. `queue_s` of the seconds pass in line.
    """

    seconds: float
    busy_s: float
    late_s: float
    worst_s: float
    cost: Decimal
    worst_cost: Decimal
    output_tokens: int
    why_cost: str
    long_seconds: float = 0.0
    queue_s: float = 0.0


class Durations(Struct, frozen=True):
    """How long a turn takes on a backend, as in `Estimate`, `queue_s` of it in line, and the tokens that this assumes.

    Of the expected input, `cached` tokens are in the prompt cache of the backend, and `fresh` ones are not.
    """

    seconds: float
    busy_s: float
    queue_s: float
    late_s: float
    worst_s: float
    long_seconds: float
    output_tokens: int
    fresh: int
    cached: int
    expected_output: int


def durations(option: RoutingOption, demand: Demand) -> Durations:
    """Return how long the turn takes; `demand` is that at this backend (`Demand.read_by`)."""
    speed, limits = option.backend_state.speed, option.backend.limits
    output = writable(option, demand)
    known_input = demand.input_tokens if demand.expected_input_tokens is None else demand.expected_input_tokens
    known_output, long_output = demand.expected_answer(option.model.name, output)
    cached = cached_tokens(option, demand, known_input) if demand.cached else 0
    reading_s = (known_input - cached) / speed.prefill_tokens_s
    busy_s = long_s = reading_s + known_output / speed.decode_tokens_s
    if long_output != known_output:
        long_s = reading_s + long_output / speed.decode_tokens_s
    queue_s = busy_s * (option.waiting(demand) // option.places)
    worst_s = max(LEAST_WORST_S, SLOW * (demand.input_tokens / speed.prefill_tokens_s + output / speed.decode_tokens_s))
    late_after_s = 0.0
    worst_s += held_s(option, demand)
    if option.readiness is not Readiness.UP:
        late_after_s = late_s(option, demand, queue_s + long_s)
    seconds = option.remaining_start_s + queue_s + busy_s
    return Durations(
        seconds,
        busy_s,
        queue_s,
        late_after_s,
        min(limits.request_timeout_s, worst_s),
        seconds + long_s - busy_s,
        output,
        known_input - cached,
        cached,
        known_output,
    )


def held_s(option: RoutingOption, demand: Demand) -> float:
    """Return how long an attempt may wait to be let in: as long as a start where further instances may be starting."""
    if longest_s := longest_start_s(option.backend, option.backend_state, option.now):
        return max(demand.attempt_limits.hold_s, longest_s)
    return 0.0 if option.readiness is Readiness.UP else demand.attempt_limits.hold_s


def cached_tokens(option: RoutingOption, demand: Demand, input_tokens: int) -> int:
    """Return how many tokens of the input the backend is expected to have in its prompt cache; none if it is not up."""
    cached = demand.cached
    if cached is None or cached.backend != option.backend.name or option.readiness is not Readiness.UP:
        return 0
    return min(input_tokens, cached.tokens)


def late_s(option: RoutingOption, demand: Demand, work_s: float) -> float:
    """Return by how many seconds a slow start would pass the deadline, to the millisecond that is kept of it."""
    if demand.deadline_s is None or option.readiness is Readiness.UP:
        return 0.0
    return max(0.0, round(option.slow_remaining_start_s + work_s - demand.deadline_s, 3))


def writable(option: RoutingOption, demand: Demand) -> int:
    """Return how many tokens the backend may write in this attempt."""
    continues = option.backend.continues is not ContinuationMode.NO
    if not demand.is_open_ended:
        return demand.output_tokens if continues else writable_in_time(option, demand, demand.output_tokens)
    least, tokens = next_reservation(demand.first_reservation(option.model.name), demand.capped, continues=continues)
    room = min(option.window - demand.input_tokens, option.backend.limits.max_output_tokens)
    most = min(tokens, room) if continues else writable_in_time(option, demand, min(tokens, room))
    return most if most >= least else 0


def writable_in_time(option: RoutingOption, demand: Demand, tokens: int) -> int:
    """Return how many of these tokens a backend that can't continue an answer writes within one attempt.

    Of a start, an attempt waits for the last `hold_s` seconds at most; the turn waits for the others without one.
    """
    attempt_s = min(demand.attempt_limits.handover_s, option.backend.limits.request_timeout_s)
    held_s = min(option.remaining_start_s, demand.attempt_limits.hold_s)
    left_s = attempt_s - held_s - option.work_s(demand.input_tokens, 0)
    return min(tokens, int(max(0.0, left_s) * option.backend_state.speed.decode_tokens_s / SLOW))
