"""What is the least possible cost of the traffic, with knowledge of all future requests?"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from benches.routing.traffic import TrafficRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Dollars: of a second of the GPU, of an input and of an output token at the API; seconds of start and tail."""

    second: float
    input_token: float
    output_token: float
    cold_s: float
    tail_s: float
    prefill_tokens_s: float
    decode_tokens_s: float

    def rent(self, request: TrafficRequest) -> float:
        return request.input_tokens * self.input_token + request.output_tokens * self.output_token

    def busy_s(self, request: TrafficRequest) -> float:
        return request.input_tokens / self.prefill_tokens_s + request.output_tokens / self.decode_tokens_s

    def session(self, request: TrafficRequest) -> float:
        return self.second * (self.cold_s + self.busy_s(request) + self.tail_s)


@dataclass(slots=True, kw_only=True)
class OpenSessions:
    """The GPU sessions that the optimum may have open, each with the end of its last work.

    A `fresh` session is still busy with its first work; requests until then are free, so its cost is fixed. For the
    `grown` ones the cost is stored minus what grows with time (rents so far, seconds so far), the smallest first.
    """

    terms: Terms
    fresh: deque[tuple[float, float]] = field(default_factory=deque[tuple[float, float]])
    grown: deque[tuple[float, float]] = field(default_factory=deque[tuple[float, float]])

    def served(self, request: TrafficRequest, rents: float) -> float:
        """Return the least cost of serving the request in an open session; `rents` is all earlier rent."""
        ends = request.at + self.terms.busy_s(request)
        while self.fresh and self.fresh[0][0] <= ends:
            self.grow(*self.fresh.popleft(), rents)
        while self.grown and self.grown[0][0] + self.terms.tail_s < request.at:
            self.grown.popleft()
        free = min((cost for _, cost in self.fresh), default=float("inf"))
        lengthened = self.grown[0][1] + rents + self.terms.second * ends if self.grown else float("inf")
        return min(free, lengthened)

    def grow(self, ends: float, cost: float, rents: float) -> None:
        value = cost - rents - self.terms.second * ends
        while self.grown and self.grown[-1][1] >= value:
            self.grown.pop()
        self.grown.append((ends, value))


def optimum(requests: Sequence[TrafficRequest], terms: Terms) -> float:
    """Return the least cost: each request rents, starts a session, or extends an open one."""
    sessions = OpenSessions(terms=terms)
    cost, rents = 0.0, 0.0
    for request in requests:
        busy_s = terms.busy_s(request)
        taken = sessions.served(request, rents)
        begun = cost + terms.session(request)
        rents += terms.rent(request)
        sessions.fresh.append((request.at + terms.cold_s + busy_s, begun))
        sessions.grow(request.at + busy_s, taken, rents)
        cost = min(cost + terms.rent(request), taken, begun)
    return cost
