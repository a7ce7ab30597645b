"""What does the product's choice between an API and a cold GPU cost, compared with other policies and the optimum?

`python -m benches.routing [REQUESTS]`: multiples of the clairvoyant optimum, and the time of one decision.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from random import Random

from benches.routing.optimum import Terms, optimum
from benches.routing.policies import (
    API,
    ATTEMPT_LIMITS,
    GPU,
    AlwaysOne,
    FastestOfLate,
    Machine,
    PolicyFactory,
    ProductRouting,
    RoundRobin,
    RoutingPolicy,
)
from benches.routing.traffic import HOUR_S, TrafficRequest, hours, quarters, steady, traffic
from benches.tables import percentile, print_table
from domain.config.fleet_toml import fleet_from_toml
from domain.config.prices_toml import prices_from_toml
from domain.fleet.backend_state import initial_state
from domain.fleet.catalog import Backend, Fleet
from domain.money.prices import Price, TimePrice, TokenPrice
from domain.routing.estimates import Demand
from domain.routing.router import route
from settings import ROOT

REQUESTS = 4000
RATES = (49, 485, 2912)
SEEDS = range(3)
API_FIRST_WORD_S = 0.5
BACKENDS = 50
DECISIONS = 300
PATTERNS: Mapping[str, Callable[[float, Random], Iterator[float]]] = {
    "steady": steady,
    "two busy hours": hours,
    "quarters of an hour": quarters,
}
PRICE = "azure-openai-gpt-4o"


def world() -> tuple[Fleet, Mapping[str, Price], Terms]:
    """Return a fleet of the shipped L4 and an API at the price of a large model."""
    variables = {"GANGLION_CLOUD_RUN_L4_URL": "https://gpu.example", "GANGLION_AZURE_OPENAI_URL": "https://api.example"}
    prices = prices_from_toml((ROOT / "prices.toml").read_text(encoding="utf-8"))
    fleet = fleet_from_toml((ROOT / "fleet.toml").read_text(encoding="utf-8"), variables, prices)
    gpu = replace(fleet.backends["cloud-run-l4"], name=GPU)
    api = replace(fleet.backends["azure-openai"], name=API, price=prices[PRICE])
    small = Fleet(models=fleet.models, backends={GPU: gpu, API: api})
    return small, prices, terms_of(gpu, prices)


def terms_of(gpu: Backend, prices: Mapping[str, Price]) -> Terms:
    machine, tokens = gpu.price, prices[PRICE]
    assert isinstance(machine, TimePrice)
    assert isinstance(tokens, TokenPrice)
    return Terms(
        second=float(machine.amount) / machine.per_s,
        input_token=float(tokens.input) / 1e6,
        output_token=float(tokens.output) / 1e6,
        cold_s=gpu.cold_start.p50_s,
        tail_s=gpu.cold_start.idle_s,
        prefill_tokens_s=gpu.speed.prefill_tokens_s,
        decode_tokens_s=gpu.speed.decode_tokens_s,
    )


def simulated(policy: RoutingPolicy, requests: Sequence[TrafficRequest], terms: Terms) -> tuple[float, float]:
    """Return the cost of the traffic in dollars and the 99th percentile of the seconds until the first word."""
    machine, rent, waits = Machine(terms), 0.0, list[float]()
    for request in requests:
        if policy.choose(request, machine) == GPU:
            waits.append(machine.serve(request))
        else:
            rent += terms.rent(request)
            waits.append(API_FIRST_WORD_S)
    machine.close()
    return rent + machine.paid, percentile(waits, 0.99)


def policies(fleet: Fleet) -> Mapping[str, PolicyFactory]:
    return {
        "rent or buy, patient": lambda: ProductRouting(fleet=fleet, deadline_s=1800),
        "rent or buy, shadow warm-up": lambda: ProductRouting(fleet=fleet, deadline_s=30),
        "always the API": lambda: AlwaysOne(API),
        "cheapest per token (the GPU has no such price)": lambda: AlwaysOne(GPU),
        "round robin": RoundRobin,
        "fastest of late": FastestOfLate,
    }


def compare(requests: int) -> None:
    """Print the cost of each policy for each pattern of arrivals."""
    fleet, _, terms = world()
    for pattern, arrivals in PATTERNS.items():
        drawn = [[traffic(arrivals(rate, seeded(pattern, rate, seed)), requests) for seed in SEEDS] for rate in RATES]
        rows = [[name, *(cell(new, columns, terms) for columns in drawn)] for name, new in policies(fleet).items()]
        print_table((f"{pattern}: cost x optimum (p99 wait, s)", *(f"{rate}/h" for rate in RATES)), rows)
        print()


def seeded(*what: object) -> Random:
    return Random(str(what))  # noqa: S311 - draws traffic


def cell(new: PolicyFactory, drawn: Sequence[Sequence[TrafficRequest]], terms: Terms) -> str:
    found = [(simulated(new(), requests, terms), optimum(requests, terms)) for requests in drawn]
    multiple = sum(cost for (cost, _), _ in found) / sum(best for _, best in found)
    return f"{multiple:.2f} ({max(wait for (_, wait), _ in found):.0f})"


def decide() -> None:
    """Print the time of one decision among fifty backends, half of them cold."""
    small, *_ = world()
    pair = tuple(small.backends.values())
    many = {f"b{number}": replace(pair[number % 2], name=f"b{number}") for number in range(BACKENDS)}
    fleet = Fleet(models=small.models, backends=many)
    beliefs = {
        name: replace(initial_state(backend), decode_tokens_s=50 + number / 3)
        for number, (name, backend) in enumerate(many.items())
    }
    demand = Demand(input_tokens=800, output_tokens=400, deadline_s=1800, attempt_limits=ATTEMPT_LIMITS)
    took: list[float] = []
    for number in range(DECISIONS):
        began = time.perf_counter()
        route(demand, fleet, beliefs, HOUR_S + number)
        took.append((time.perf_counter() - began) * 1000)
    rows = [["one decision", f"{percentile(took, 0.5):.2f}", f"{percentile(took, 0.95):.2f}"]]
    print_table((f"ms, {BACKENDS} backends", "median", "p95"), rows)


def main() -> None:
    compare(int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS)
    decide()
