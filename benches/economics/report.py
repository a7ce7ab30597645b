"""How is a comparison shown: as a table, as JSON, and as a plot?"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any

from benches.economics.comparison import (
    MONTH_HOURS,
    BreakEven,
    Mix,
    break_even,
    cheapest_mix,
    machines_needed,
    owning_pays_in,
    span_s,
    strategies,
)
from benches.economics.inputs import HOUR_S, Machine, OwnedMachine, Request
from benches.tables import print_table
from domain.money.prices import TokenPrice

LEFT, WIDTH, ROW = 300, 760, 30
OWNED = "owned, without its purchase"


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
    even, mix = break_even(requests, price, machine), cheapest_mix(requests, price, machines)
    return {
        "requests": len(requests),
        "hours": f"{hours:.4f}",
        "usd": {name: f"{amount:.9f}" for name, amount in costs.items()},
        "usd_a_month": {name: f"{amount / hours * MONTH_HOURS:.2f}" for name, amount in costs.items()},
        "machines_needed": machines_needed(requests, machine),
        "cheapest": cheapest,
        "break_even": even_object(even),
        "owning_pays_in_month": owning_pays_in(costs[cheapest], requests, machine, owned),
        "cheapest_mix": mix_object(mix),
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
    print_table((f"{report['requests']} requests in {report['hours']} h", "cost", "a month"), rows)
    even, month = report["break_even"], report["owning_pays_in_month"]
    reach = "" if even["within_one_gpu"] else "; one GPU cannot serve so many"
    print(
        f"\nbreak-even of API and GPU: {even['requests_an_hour']} requests/h, utilisation {even['utilisation']}{reach}"
    )
    print(f"owning pays in month {month}" if month else "owning never pays against the cheapest other way")
    if report["machines_needed"] > 1:
        print(f"the busiest instant needs {report['machines_needed']} GPUs; the lines with a policy count one machine")
    mix = report["cheapest_mix"]
    print(f"cheapest mix: {' + '.join((*mix['gpus'], 'API'))}, ${mix['usd']}")
    for each in report["prices"]:
        print(f"price {each['name']}: {each['source']}, {each['date']}")


def plot(report: Mapping[str, Any]) -> str:
    """Return an SVG with a bar for the month of each way."""
    months = {name: float(usd) for name, usd in report["usd_a_month"].items()}
    longest = max(months.values()) or 1.0
    height = ROW * len(months) + 20
    bars = [bar(name, usd, usd / longest, place) for place, (name, usd) in enumerate(months.items())]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif">'
    return "\n".join((head, f'<rect width="{WIDTH}" height="{height}" fill="white"/>', *bars, "</svg>", ""))


def bar(name: str, usd: float, share: float, place: int) -> str:
    y, width = 10 + ROW * place, share * (WIDTH - LEFT - 110)
    return (
        f'<text x="{LEFT - 10}" y="{y + 16}" font-size="12" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LEFT}" y="{y + 2}" width="{width:.1f}" height="18" fill="#3a7ca5"/>'
        f'<text x="{LEFT + width + 8:.1f}" y="{y + 16}" font-size="12">${usd:,.2f} a month</text>'
    )
