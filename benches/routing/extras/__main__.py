"""Would timed warm-ups and hedged first tokens pay? `python -m benches.routing.extras`

Timed warm-ups: a model on one GPU, without an API. The demand of the first week gives the rate of each hour of the
week. In the second week a GPU that is down is warmed up before an hour if the waiting that this is expected to save is
worth more than what it is expected to cost. Hedging: a second call where the first token has not come within the
learned 95th percentile; times to the first token are log-normal. Both end in what a second of waiting would have to be
worth.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp
from random import Random
from statistics import fmean, median

from benches.routing.arrivals import DAY_S, HOUR_S, Arrivals, TrafficRequest, azure_sizes, servegen_clients
from benches.tables import print_table

WEEK_S = 7 * DAY_S
REQUESTS = 2000
BUSY_S = 5.0
GPU_HOUR_USD = 1.42
TIME_VALUES = (0.0002, 0.002, 0.02)
CASES = ((60.0, 600.0), (300.0, 600.0), (60.0, 60.0))
"""Seconds of a start and of an idle period."""

SPREADS = (0.25, 0.5, 1.0)
"""Standard deviations of the logarithm of the time to the first token; its median is half a second."""

TOKEN_PRICES: Mapping[str, tuple[float, float]] = {"gpt-4o-mini": (0.15e-6, 0.6e-6), "gpt-4o": (2.5e-6, 10e-6)}
DRAWS = 200_000
WRITTEN = 0.1
"""The part of an answer that the slower of two calls has written, and is charged for, when it is cut."""


@dataclass(slots=True)
class WarmUpWeek:
    """What the GPU of a week cost in dollars, and how long its requests waited in seconds."""

    dollars: float = 0.0
    waited_s: float = 0.0
    unused: int = 0
    timed: int = 0


def week(
    requests: Sequence[TrafficRequest], start_s: float, idle_s: float, rates: Mapping[int, float], time_value: float
) -> WarmUpWeek:
    """Serve the second week; without `rates` nothing is warmed up before its time."""
    found, second_usd = WarmUpWeek(), GPU_HOUR_USD / HOUR_S
    up_from, up_until, is_used = 0.0, 0.0, True
    ahead = sorted(hours_of_week(rates, start_s, idle_s, time_value))
    for request in requests:
        while ahead and ahead[0] <= request.at:
            at = ahead.pop(0)
            if at >= up_until:
                found.unused += not is_used
                found.timed += 1
                up_from, up_until, is_used = at + start_s, at + start_s + idle_s, False
                found.dollars += (start_s + idle_s) * second_usd
        if request.at >= up_until:
            found.unused += not is_used
            up_from, up_until = request.at + start_s, request.at + start_s + idle_s
            found.dollars += (start_s + idle_s) * second_usd
        is_used = True
        begins = max(request.at, up_from)
        found.waited_s += begins - request.at
        longer_s = max(0.0, begins + BUSY_S + idle_s - up_until)
        found.dollars += longer_s * second_usd
        up_until += longer_s
    return found


def hours_of_week(rates: Mapping[int, float], start_s: float, idle_s: float, time_value: float) -> Iterator[float]:
    """Yield when the second week's GPU is to be warmed up if it is down: so that it is up as an hour begins."""
    second_usd = GPU_HOUR_USD / HOUR_S
    for hour, rate in rates.items():
        comes = 1 - exp(-rate * idle_s / HOUR_S)
        waiting = 1 + rate * start_s / HOUR_S / 2
        saved = comes * waiting * start_s * time_value
        lost = ((1 - comes) * (start_s + idle_s) + comes * idle_s / 2) * second_usd
        if rate and saved > lost:
            yield WEEK_S + hour * HOUR_S - start_s


def timed_rows() -> Iterator[tuple[str, ...]]:
    clients = [Arrivals(source=name, requests=REQUESTS, seed=1).draw() for name in sorted(servegen_clients())]
    for start_s, idle_s in CASES:
        for time_value in TIME_VALUES:
            added, saved, timed, unused, better = 0.0, 0.0, 0, 0, 0
            for requests in clients:
                counts = Counter(int(each.at // HOUR_S) for each in requests if each.at < WEEK_S)
                second = [each for each in requests if each.at >= WEEK_S]
                plain = week(second, start_s, idle_s, {}, time_value)
                early = week(second, start_s, idle_s, counts, time_value)
                added += early.dollars - plain.dollars
                saved += plain.waited_s - early.waited_s
                timed, unused = timed + early.timed, unused + early.unused
                better += (plain.waited_s - early.waited_s) * time_value > early.dollars - plain.dollars
            yield (
                f"{start_s:.0f}",
                f"{idle_s:.0f}",
                f"{time_value}",
                str(timed),
                f"{unused / timed:.0%}" if timed else "",
                f"{added:.2f}",
                f"{saved:.0f}",
                f"{added / saved:.4f}" if saved > 0 else "",
                f"{better} of {len(clients)}",
            )


def hedge_rows() -> Iterator[tuple[str, ...]]:
    random = Random(0)  # noqa: S311 - figures must repeat
    inputs, outputs = fmean(size[0] for size in azure_sizes()), median(size[1] for size in azure_sizes())
    for spread in SPREADS:
        first = sorted(0.5 * exp(random.gauss(0, spread)) for _ in range(DRAWS))
        late_at = first[int(0.95 * DRAWS)]
        saved = fmean(max(0.0, each - late_at - 0.5 * exp(random.gauss(0, spread))) for each in first if each > late_at)
        for name, (input_usd, output_usd) in TOKEN_PRICES.items():
            hedge = inputs * input_usd + WRITTEN * outputs * output_usd
            yield (
                f"{spread}",
                name,
                f"{late_at:.2f}",
                f"{saved:.2f}",
                f"{hedge:.6f}",
                f"{hedge / saved:.4f}" if saved else "",
            )


def main() -> None:
    print_table(
        ("start, s", "idle, s", "$ a second", "timed", "unused", "added $", "saved s", "$ for a saved s", "pays"),
        list(timed_rows()),
    )
    print_table(("spread", "model", "p95, s", "saved s a hedge", "$ a hedge", "$ for a saved s"), list(hedge_rows()))


if __name__ == "__main__":
    main()
