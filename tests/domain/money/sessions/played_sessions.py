"""Which GPU sessions do tests of their costs play?"""

from collections.abc import Sequence
from copy import replace
from decimal import Decimal
from typing import Final

from hypothesis import strategies as st

from domain.money.prices import PriceComponent, PriceKind, PriceSource, TimePrice
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan
from domain.money.sessions.provisional_charges import provisional_charge, provisional_warm_up

START = 1_800_000_000.0
PRICE = TimePrice(
    name="gpu",
    origin=PriceSource(source="a test", date="2026-11", region="nowhere"),
    kind=PriceKind.PER_SECOND,
    components=(PriceComponent(name="machine", amount=Decimal("0.0003947"), count=Decimal(1)),),
    per_s=1,
    granularity_ms=100,
    idle_s=60.0,
)

RATE: Final = 394_700
"""Nano-dollars a second."""


def session(
    *, started: float = START, cold_s: float = 10.0, ends: float | None = None, warm_up_record: str = ""
) -> GpuSession:
    last = started if ends is None else ends
    return GpuSession(
        id="s", backend="gpu", price="gpu", started=started, cold_s=cold_s, last_end=last, warm_up_record=warm_up_record
    )


def span(name: str, began: float, ended: float | None, *, warms_up: bool = False) -> SessionSpan:
    until = None if ended is None else START + ended
    return SessionSpan(
        record=name, tenant="t", subject="u", response="r", began=START + began, ended=until, is_warm_up=warms_up
    )


def played(
    requests: Sequence[tuple[float, float]], *, price: TimePrice, cold_s: float, warms_up: bool
) -> tuple[GpuSession, list[SessionSpan], dict[str, int]]:
    """Let requests (begin and length, in tenths of a second) come to a machine; return what each was charged."""
    now = session(cold_s=cold_s, warm_up_record="wake" if warms_up else "").with_ready_at(START + cold_s)
    spans = [span("wake", 0, None, warms_up=True)] if warms_up else []
    charged = {"wake": sum(provisional_warm_up(price, cold_s).values())} if warms_up else {}
    ends = sorted((began + length, number) for number, (began, length) in enumerate(requests))
    for end, number in ends:
        began, ended = requests[number][0] / 10, max(end / 10, cold_s)
        charged[str(number)] = sum(provisional_charge(now, price, began=START + began, ended=START + ended).values())
        spans.append(span(str(number), began, ended))
        now = now.with_ended_member(str(number), START + ended)
    return replace(now, members=len(spans)), spans, charged


def together(requests: Sequence[tuple[int, int]], tail_s: float) -> list[tuple[int, int]]:
    """Return the requests that come before the machine has gone."""
    kept: list[tuple[int, int]] = []
    reached, (first, _) = 0.0, min(requests)
    for began, length in sorted(requests):
        if kept and (began - first) / 10 > reached + tail_s:
            break
        kept.append((began - first, length))
        reached = max(reached, (began - first + length) / 10)
    return kept


histories = st.lists(st.tuples(st.integers(0, 1500), st.integers(1, 400)), min_size=1, max_size=12)


@st.composite
def prices_of(draw: st.DrawFn) -> TimePrice:
    steps, tails = st.sampled_from([100, 1000, 60_000]), st.sampled_from([0.0, 5.0, 60.0])
    return replace(PRICE, granularity_ms=draw(steps), idle_s=draw(tails), bills_cold=draw(st.booleans()))


prices = prices_of()
