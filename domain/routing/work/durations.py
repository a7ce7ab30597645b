"""How long does a turn take on a backend, in line and at work, and how much may it write there?"""

from msgspec import Struct

from domain.fleet.catalog import ContinuationMode
from domain.fleet.instances.memory import claim_of
from domain.fleet.instances.places import longest_start_s
from domain.routing.estimates import LEAST_WORST_S, SLOW, Demand, Readiness, RoutingOption
from domain.routing.reservations import next_reservation


class Durations(Struct, frozen=True):
    """How long a turn takes on a backend, as in `Estimate`, `queue_s` of it in line, and the tokens that this assumes.

    Of the expected input, `cached` tokens are in the prompt cache of the backend, and `fresh` ones are not. `claim` is
    the tokens of KV memory that it may need: of the prompt and of a long answer, or of all that it
    may write where no length was learned. It is written at `decode_tokens_s`.
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
    claim: int
    decode_tokens_s: float


def durations(option: RoutingOption, demand: Demand) -> Durations:
    """Return how long the turn takes; `demand` is that at this backend (`Demand.read_by`)."""
    speed, limits = option.backend_state.speed, option.backend.limits
    waiting = option.waiting(demand)
    decode_s, slowest_s = option.decode_tokens_s(waiting + 1), speed.decode_at(limits.concurrency)
    output = writable(option, demand)
    known_input = demand.input_tokens if demand.expected_input_tokens is None else demand.expected_input_tokens
    known_output, long_output = demand.expected_answer(option.model.name, output)
    cached = cached_tokens(option, demand, known_input) if demand.cached else 0
    reading_s = (known_input - cached) / speed.prefill_tokens_s
    busy_s = long_s = reading_s + known_output / decode_s
    if long_output != known_output:
        long_s = reading_s + long_output / decode_s
    claim = claim_of(demand.input_tokens + (long_output if option.model.name in demand.answers else output))
    queue_s = busy_s * max(waiting // option.places, option.memory_rounds(demand, claim))
    worst_s = max(LEAST_WORST_S, SLOW * (demand.input_tokens / speed.prefill_tokens_s + output / slowest_s))
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
        claim,
        decode_s,
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
    window = min(option.window, option.backend.limits.kv_tokens or option.window)
    room = min(window - demand.input_tokens, option.backend.limits.max_output_tokens)
    most = min(tokens, room) if continues else writable_in_time(option, demand, min(tokens, room))
    return most if most >= least else 0


def writable_in_time(option: RoutingOption, demand: Demand, tokens: int) -> int:
    """Return how many of these tokens a backend that can't continue an answer writes within one attempt.

    Of a start, an attempt waits for the last `hold_s` seconds at most; the turn waits for the others without one.
    """
    attempt_s = min(demand.attempt_limits.handover_s, option.backend.limits.request_timeout_s)
    held_s = min(option.remaining_start_s, demand.attempt_limits.hold_s)
    left_s = attempt_s - held_s - option.work_s(demand.input_tokens, 0)
    return min(tokens, int(max(0.0, left_s) * option.decode_tokens_s(option.waiting(demand) + 1) / SLOW))
