"""What would the requests of a cell cost at its API, and which of them count?"""

from collections.abc import Iterable, Sequence

from benches.routing.arrivals import TrafficRequest
from benches.routing.cells import SPEED, Cell
from benches.routing.services import token_dollars
from domain.routing.rules.replay import PastDemand, SessionTerms

LEARNS = 0.6
"""The first share of the requests is for learning; the rest counts."""


def counted_requests(requests: Sequence[TrafficRequest]) -> Sequence[TrafficRequest]:
    return requests[round(LEARNS * len(requests)) :]


def demand_of(cell: Cell, requests: Iterable[TrafficRequest]) -> Sequence[PastDemand]:
    """Return the demand in dollars of the API: both services are as fast, so that is what a GPU saves."""
    return [
        PastDemand(
            each.at,
            token_dollars(cell.token_price, each),
            each.input_tokens / SPEED.prefill_tokens_s + each.output_tokens / SPEED.decode_tokens_s,
        )
        for each in requests
    ]


def terms_of(cell: Cell) -> SessionTerms:
    return SessionTerms(second_usd=cell.second_usd, start_s=cell.start_s, idle_s=cell.idle_s)
