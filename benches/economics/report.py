"""How is a comparison shown: as a table, and as the numbers of JSON and plots?"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from benches.economics.comparison import (
    MONTH_HOURS,
    MOST_TYPES,
    BreakEven,
    Mix,
    break_even,
    machines_needed,
    mixes,
    owning_pays_in,
    ranked,
    span_s,
    strategies,
)
from benches.economics.inputs import HOUR_S, Machine, OwnedMachine, Request
from benches.tables import print_table
from domain.money.prices import TokenPrice

OWNED = "owned, without its purchase"
MOST_MIXES = 10
"""The cheapest mixes are reported; with six types there are 64."""


def compared(
    requests: Sequence[Request],
    price: TokenPrice,
    machines: Sequence[Machine],
    *,
    controlled_idle_s: float,
    owned: OwnedMachine,
) -> Mapping[str, Any]:
    """Return the whole comparison; amounts are dollars as decimal strings. The first machine is the one compared."""
    machine = machines[0]
    costs = strategies(requests, price, machine, controlled_idle_s=controlled_idle_s, owned=owned)
    hours = Decimal(span_s(requests, machine)) / Decimal(HOUR_S)
    cheapest = min((name for name in costs if name != OWNED), key=lambda name: costs[name])
    even = break_even(requests, price, machine)
    compared_mixes = ranked(mixes(requests, price, machines[:MOST_TYPES]))
    return {
        "requests": len(requests),
        "hours": f"{hours:.4f}",
        "usd": {name: f"{amount:.9f}" for name, amount in costs.items()},
        "usd_a_month": {name: f"{amount / hours * MONTH_HOURS:.2f}" for name, amount in costs.items()},
        "machines_needed": machines_needed(requests, machine),
        "cheapest": cheapest,
        "break_even": even_object(even),
        "owning_pays_in_month": owning_pays_in(costs[cheapest], requests, machine, owned),
        "gpu_hour_usd": f"{machine.second_usd * Decimal(HOUR_S):.9f}",
        "owned": {
            "purchase_usd": f"{owned.purchase_usd:.2f}",
            "month_usd": f"{owned.month_usd + owned.running_usd(MONTH_HOURS):.2f}",
        },
        "cheapest_mix": mix_object(compared_mixes[0]),
        "mixes": [mix_object(each) for each in compared_mixes[:MOST_MIXES]],
        "prices": [
            {"name": each.name, "source": each.origin.source, "date": each.origin.date}
            for each in (price, *(one.price for one in machines))
        ],
    }


def even_object(even: BreakEven) -> Mapping[str, Any]:
    return {
        "requests_an_hour": f"{even.requests_an_hour:.3f}",
        "utilisation": f"{even.utilisation:.4f}",
        "within_one_gpu": even.utilisation <= 1,
    }


def mix_object(mix: Mix) -> Mapping[str, Any]:
    return {"gpus": list(mix.gpus), "usd": f"{mix.dollars:.9f}"}


def print_report(report: Mapping[str, Any]) -> None:
    rows = [(name, f"${usd}", f"${report['usd_a_month'][name]}") for name, usd in report["usd"].items()]
    number = report["requests"]
    print_table(
        (f"{number} request{'' if number == 1 else 's'} in {report['hours']} h", "cost", "scaled to a month"), rows
    )
    for line in conclusions(report):
        print(line)


def conclusions(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the table means, a sentence a line."""
    even, month = report["break_even"], report["owning_pays_in_month"]
    rate, share = float(even["requests_an_hour"]), 100 * float(even["utilisation"])
    yield (
        f"\nThe API and one GPU that is always on cost the same at {rate:,.1f} requests an hour,"
        f" which use {share:.1f} % of the GPU."
    )
    if not even["within_one_gpu"]:
        yield "One GPU cannot serve so many: for these requests the API costs less than any number of GPUs."
    yield (
        f"Your own machine has paid for itself in month {month}."
        if month
        else "Your own machine never pays for itself: the cheapest other way costs less than its place and power."
    )
    if report["machines_needed"] > 1:
        yield (
            f"The busiest instant needs {report['machines_needed']} GPUs; "
            "the lines of a GPU for every request and of our policy count one."
        )
    mix = report["cheapest_mix"]
    kinds = f"{' + '.join(mix['gpus'])} beside the API" if mix["gpus"] else "the API alone"
    yield f"The cheapest mix of GPUs that scale to zero: {kinds}, ${mix['usd']}."
    for each in report["prices"]:
        yield f"Price {each['name']}: {each['source']}, {each['date']}"
