"""Does a batch begin when it costs least, and never too late?"""

from copy import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.batches.start_time import STARTS_PAID, BatchOption, StartDecision, WaitingLines, decide_start, waiting_lines

START = Decimal("0.2604984")
"""60 s of a start and 600 s of an idle period of an L4, at $0.0003947 a second."""
GPU = BatchOption(
    backend="gpu", line_cost=Decimal("0.00015788"), line_s=0.05, start_cost=START, start_s=60.0, is_up=False
)
API = BatchOption(backend="api", line_cost=Decimal("0.00036"), line_s=0.5)
WARM = BatchOption(backend="gpu", line_cost=Decimal("0.00015788"), line_s=0.05, restart_cost=START)
CHEAP = BatchOption(backend="cheap", line_cost=Decimal("0.0001"), line_s=1.0)
DAY = 86_400.0


IDLE = BatchOption(backend="gpu", line_cost=Decimal("0.00015788"), line_s=0.05, start_cost=300 * Decimal("0.0003947"))
"""A GPU that is warm, and has been idle for 300 s: with lines it goes so much later."""


def decide(
    *options: BatchOption, lines: int = 100, together: int = 0, now: float = 0.0, is_cheap_hour: bool = False
) -> StartDecision:
    waiting = WaitingLines(together)
    return decide_start(options, lines=lines, waiting=waiting, now=now, expires_at=DAY, is_cheap_hour=is_cheap_hour)


def test_an_owner_does_not_see_how_many_lines_others_have() -> None:
    decision = decide(GPU, API, lines=100, together=98_765)
    assert (decision.starts, decision.together) == (True, 98_765)
    assert "98" not in str(decision.for_owner()).replace(",", "")


def test_the_break_even_is_the_one_of_the_prices() -> None:
    assert decide(GPU, API).break_even == 1289


@pytest.mark.parametrize(
    ("options", "lines", "together", "starts", "backend"),
    [
        ((API,), 100, 0, True, ""),
        ((WARM, API), 1288, 0, True, ""),
        ((WARM, API), 1289, 0, True, "gpu"),
        ((WARM,), 10_000, 0, True, ""),
        ((WARM, API), 1_500_000, 0, True, ""),
        ((WARM, CHEAP), 10_000, 0, True, ""),
        ((GPU, API), 100, 0, False, ""),
        ((GPU, API), 1289, 0, False, ""),
        ((GPU, API), STARTS_PAID * 1289 - 1, 0, False, ""),
        ((GPU, API), STARTS_PAID * 1289, 0, True, "gpu"),
        ((GPU, API), 100, STARTS_PAID * 1289, True, "gpu"),
        ((GPU,), 100_000, 0, False, ""),
        ((IDLE,), 1, 0, True, "gpu"),
        ((IDLE, API), 100, 0, False, ""),
        ((IDLE, API), 100, 600, True, "gpu"),
        ((), 10, 0, True, ""),
        ((GPU, CHEAP), 100, 0, True, ""),
    ],
)
def test_a_batch_begins_where_that_pays(
    options: tuple[BatchOption, ...], lines: int, together: int, backend: str, *, starts: bool
) -> None:
    decision = decide(*options, lines=lines, together=together)
    assert (decision.starts, decision.backend) == (starts, backend)
    assert decision.reason


@pytest.mark.parametrize(
    ("options", "lines", "backend"), [((GPU,), 1, "gpu"), ((GPU, API), 100, ""), ((GPU, API), 1288, "")]
)
def test_a_batch_begins_in_a_cheap_hour_where_it_costs_less(
    options: tuple[BatchOption, ...], lines: int, backend: str
) -> None:
    decision = decide(*options, lines=lines, is_cheap_hour=True)
    assert (decision.starts, decision.backend) == (True, backend)
    assert "cheap" in decision.reason


def test_at_its_latest_start_a_batch_takes_what_costs_less() -> None:
    waiting = decide(GPU, API, lines=100)
    assert waiting.latest_start == DAY - 1.5 * (60 + 100 * 0.05)
    assert decide(GPU, API, lines=100, now=waiting.latest_start).backend == ""
    assert decide(GPU, lines=100, now=waiting.latest_start).backend == "gpu"


REASONS = [
    ((GPU, CHEAP), 0.0, "cheap is up, and a line costs no more there than on gpu"),
    ((GPU, replace(API, line_cost=GPU.line_cost)), 0.0, "api is up, and a line costs no more there than on gpu"),
    ((GPU, API), DAY, "the latest start has come, and api costs less than gpu"),
    ((GPU,), DAY, "the latest start has come: gpu is started"),
    ((GPU, API), 0.0, "waits for a warm gpu, or for more lines"),
]


@pytest.mark.parametrize(("options", "now", "reason"), REASONS)
def test_the_reason_names_what_costs_less(options: tuple[BatchOption, ...], now: float, reason: str) -> None:
    assert decide(*options, now=now).reason == reason


@pytest.mark.parametrize(("together", "backend"), [(1288, ""), (1289, "gpu")])
def test_at_the_first_latest_start_a_gpu_is_started_where_all_that_wait_pay_for_it(together: int, backend: str) -> None:
    latest = decide(GPU, API, lines=100).latest_start
    decision = decide(GPU, API, lines=100, together=together, now=latest)
    assert (decision.starts, decision.backend) == (True, backend)


LARGE = BatchOption(
    backend="large", line_cost=Decimal("0.0001"), line_s=0.01, start_cost=5 * START, start_s=300.0, is_up=False
)
"""A GPU with a dear start whose lines cost less."""


@pytest.mark.parametrize(
    ("lines", "now", "backend"),
    [(100, DAY, "gpu"), (16_000, DAY - 1290, "gpu"), (20_000, DAY - 750, "large"), (40_000, DAY - 1050, "large")],
)
def test_of_two_gpus_the_one_is_started_where_all_lines_cost_less(lines: int, now: float, backend: str) -> None:
    decision = decide(GPU, LARGE, lines=lines, now=now)
    assert (decision.starts, decision.backend) == (True, backend)


@pytest.mark.parametrize("late", [0.0, 0.001, 15.0, 40.0])
def test_a_timer_that_fires_late_does_not_change_which_gpu_is_started(late: float) -> None:
    quick = replace(GPU, backend="quick", line_s=0.01, start_cost=5 * START, start_s=30.0)
    waits = decide(GPU, quick, lines=2000)
    assert (waits.starts, waits.latest_start) == (False, DAY - 1.5 * (60 + 2000 * 0.05))
    begun = decide(GPU, quick, lines=2000, now=waits.latest_start + late)
    assert (begun.starts, begun.backend) == (True, "gpu")


def test_a_gpu_that_can_not_end_in_time_is_not_waited_for() -> None:
    assert decide(GPU, LARGE, lines=40_000, now=DAY - 1290).latest_start == DAY - 1050
    late = decide(GPU, replace(LARGE, start_s=3000.0), lines=16_000, now=DAY - 1290)
    assert (late.starts, late.backend) == (True, "gpu")


@given(
    lines=st.integers(1, 50_000),
    more=st.integers(0, 50_000),
    start=st.decimals("0.01", "3", places=2),
    line=st.decimals("0.00001", "0.0003", places=6),
)
def test_more_lines_never_make_a_batch_wait_beside_two_gpus(
    lines: int, more: int, start: Decimal, line: Decimal
) -> None:
    other = replace(GPU, backend="other", start_cost=start, line_cost=line)
    few, many = (decide(GPU, other, API, lines=1, together=count) for count in (lines, lines + more))
    assert many.starts or not few.starts


def test_batches_that_run_at_the_same_time_leave_each_other_the_time_to_end() -> None:
    alone = decide_start((GPU,), lines=100, now=0.0, expires_at=DAY)
    waiting = waiting_lines(100, [50, 400])
    assert waiting == WaitingLines(together=550, beside=150)
    beside = decide_start((GPU,), lines=100, waiting=waiting, now=0.0, expires_at=DAY)
    assert alone.latest_start - beside.latest_start == pytest.approx(1.5 * 150 * 0.05)


counts = st.integers(min_value=1, max_value=50_000)
prices = st.decimals(min_value="0.0000001", max_value="0.01", places=7)


@given(lines=counts, now=st.floats(0, DAY), api=prices, start=prices)
def test_a_batch_never_begins_after_its_latest_start(lines: int, now: float, api: Decimal, start: Decimal) -> None:
    gpu = BatchOption(
        backend="gpu", line_cost=Decimal("0.0001"), line_s=0.05, start_cost=start, start_s=60, is_up=False
    )
    decision = decide(gpu, BatchOption(backend="api", line_cost=api, line_s=1), lines=lines, now=now)
    assert decision.starts or now < decision.latest_start
    assert decision.starts or decision.latest_start + gpu.lasts_s(lines) <= DAY


@given(lines=counts, more=counts, now=st.floats(0, DAY), api=prices)
def test_more_lines_and_a_dearer_alternative_never_make_a_batch_wait(
    lines: int, more: int, now: float, api: Decimal
) -> None:
    other = BatchOption(backend="api", line_cost=api, line_s=1)
    if api <= GPU.line_cost:
        return
    before = decide(GPU, other, lines=lines, now=now)
    dearer = BatchOption(backend="api", line_cost=2 * api, line_s=1)
    assert decide(GPU, other, lines=lines + more, now=now).starts or not before.starts
    assert decide(GPU, dearer, lines=lines, now=now).starts or not before.starts


@given(lines=counts, now=st.floats(0, DAY), window=st.floats(60, 7 * DAY))
def test_a_longer_window_never_makes_a_batch_begin_earlier(lines: int, now: float, window: float) -> None:
    short = decide_start((GPU, API), lines=lines, now=now, expires_at=window)
    wide = decide_start((GPU, API), lines=lines, now=now, expires_at=window + DAY)
    assert short.starts or not wide.starts


@given(sizes=st.lists(st.integers(1, 4000), min_size=1, max_size=8), extra=st.floats(0, DAY))
def test_batches_that_begin_by_their_latest_start_and_share_a_gpu_all_end_within_their_windows(
    sizes: list[int], extra: float
) -> None:
    """Each gets the same share of the GPU until it ends. The windows are the shortest feasible ones, and longer."""

    def decided(at: int, now: float, expires_at: float) -> StartDecision:
        others = [lines for other, lines in enumerate(sizes) if other != at]
        waiting = waiting_lines(sizes[at], others)
        return decide_start((GPU,), lines=sizes[at], waiting=waiting, now=now, expires_at=expires_at)

    needs = [-decided(at, 0.0, 0.0).latest_start for at in range(len(sizes))]
    expire = [need + extra * (at % 3) for at, need in enumerate(needs)]
    first = min(decided(at, 0.0, until).latest_start for at, until in enumerate(expire))
    assert any(decided(at, first, until).starts for at, until in enumerate(expire))
    for at, until in enumerate(expire):
        shared = sum(min(sizes[at], lines) for lines in sizes)
        assert first + GPU.start_s + shared * GPU.line_s <= until


@given(lines=counts, together=counts, now=st.floats(0, DAY), start=prices)
def test_a_cheaper_start_never_makes_a_batch_wait(lines: int, together: int, now: float, start: Decimal) -> None:
    dear, cheap = (
        BatchOption(backend="gpu", line_cost=Decimal("0.0001"), line_s=0.05, start_cost=cost, is_up=False)
        for cost in (2 * start, start)
    )
    before = decide(dear, API, lines=lines, together=together, now=now)
    assert decide(cheap, API, lines=lines, together=together, now=now).starts or not before.starts


def test_a_decision_is_stored_whole() -> None:
    decision = decide(GPU, API)
    assert StartDecision.from_document(decision.to_document()) == decision
