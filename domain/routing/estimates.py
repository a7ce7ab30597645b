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
from domain.fleet.instances.memory import KvMemory, claims_ahead, memory_of
from domain.fleet.instances.places import beside_each_other, places
from domain.log.capped_answers import CappedAnswer
from domain.money.prices import Price
from domain.routing.answer_lengths import AnswerLength, CachedPrefix
from domain.routing.rent_or_buy import DEFAULT_RULE, NOTHING, Rule
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

    def decode_tokens_s(self, requests: int) -> float:
        """Return the speed of each of so many requests, of which those run that have a place."""
        speed, backend = self.backend_state.speed, self.backend
        if not speed.by_load:
            return speed.decode_tokens_s
        requests = min(requests, self.places)
        return speed.decode_at(beside_each_other(backend, self.backend_state, requests, self.now))

    @property
    def memory(self) -> KvMemory | None:
        """The KV memory; None where it is not known."""
        return memory_of(self.backend, self.backend_state, self.now)

    def memory_rounds(self, demand: Demand, claim: int) -> float:
        """Return how many rounds of requests have to end before there is memory for a claim."""
        memory = self.memory
        if memory is None:
            return 0.0
        ahead = claims_ahead(self.backend_state.load, self.backend, demand.response, demand.admitted_at, self.now)
        return memory.rounds(claim, ahead=ahead)

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
    deadline. `long_seconds` is what is expected with a long answer. `queue_s` of the seconds pass in line. `claim` is
    the tokens of KV memory that it may need. It is written at `decode_tokens_s`; 0 where that does not depend on load.
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
    claim: int = 0
    decode_tokens_s: float = 0.0
