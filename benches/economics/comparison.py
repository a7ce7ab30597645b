"""What does each way of serving the same requests cost, and where do two of them cost the same?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, combinations
from math import ceil
from typing import Final

from benches.economics.inputs import HOUR_S, Machine, OwnedMachine, Request
from domain.money.costing import BackendWork, attempt_cost, time_cost
from domain.money.prices import TokenPrice
from domain.routing.rent_or_buy import DEFAULT_RULE, Rule
from domain.routing.rules.replay import ALWAYS, PastDemand, SessionTerms, replay

MONTH_HOURS: Final = Decimal("730.5")
NANO: Final = Decimal("1e-9")
MOST_TYPES: Final = 6
"""All mixes of at most so many GPU types are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """The requests an hour at which a GPU that is always on costs as much as the API, and the share of it in use.

    Above a share of 1 one GPU cannot serve so many: the API is cheaper at every rate that one GPU can serve.
    """

    requests_an_hour: Decimal
    utilisation: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """GPU types that scale to zero beside the API, in dollars for the requests."""

    gpus: tuple[str, ...]
    dollars: Decimal


def api_cost(price: TokenPrice, request: Request) -> Decimal:
    work = BackendWork(input_tokens=request.input_tokens, output_tokens=request.output_tokens, requests=1)
    return attempt_cost(price, work)


def demand_of(requests: Sequence[Request], price: TokenPrice, machine: Machine) -> Sequence[PastDemand]:
    return [PastDemand(each.at, float(api_cost(price, each)), machine.busy_s(each)) for each in requests]


def terms_of(machine: Machine, idle_s: float) -> SessionTerms:
    return SessionTerms(second_usd=float(machine.second_usd), start_s=machine.start_s, idle_s=idle_s)


def span_s(requests: Sequence[Request], machine: Machine) -> float:
    """Return the seconds from the first request to the end of the last one."""
    return max(each.at + machine.busy_s(each) for each in requests) - requests[0].at


def machines_needed(requests: Sequence[Request], machine: Machine) -> int:
    """Return how many machines serve the requests at their busiest instant."""
    begins = [(each.at, 1) for each in requests]
    ends = [(each.at + machine.busy_s(each), -1) for each in requests]
    running = list(accumulate(change for _, change in sorted((*begins, *ends))))
    return -(-max(running) // machine.parallel)


def strategies(
    requests: Sequence[Request], price: TokenPrice, machine: Machine, *, controlled_idle_s: float, owned: OwnedMachine
) -> Mapping[str, Decimal]:
    """Return what each way costs for the requests, in dollars.

    Always on are as many machines as the busiest instant needs. The replay of sessions counts one machine.
    """
    demand, idle_s = demand_of(requests, price, machine), machine.price.idle_s
    hours = Decimal(span_s(requests, machine)) / Decimal(HOUR_S)
    replayed = {
        "GPU for every request, idle period as billed": (ALWAYS, idle_s),
        "our policy, idle period as billed": (DEFAULT_RULE, idle_s),
        "our policy, controlled idle period": (DEFAULT_RULE, controlled_idle_s),
    }
    return {
        "API alone": sum((api_cost(price, each) for each in requests), Decimal(0)),
        "GPU always on": time_cost(machine.price, span_s(requests, machine)) * machines_needed(requests, machine),
        **{name: replayed_cost(demand, machine, *each) for name, each in replayed.items()},
        "owned, without its purchase": rounded(owned.running_usd(hours) + owned.month_usd * hours / MONTH_HOURS),
    }


def replayed_cost(demand: Sequence[PastDemand], machine: Machine, rule: Rule, idle_s: float) -> Decimal:
    return rounded(Decimal(replay(demand, rule, terms_of(machine, idle_s)).dollars))


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(NANO)


def break_even(requests: Sequence[Request], price: TokenPrice, machine: Machine) -> BreakEven:
    """Return where the API and a GPU that is always on cost the same, for requests of this mean size."""
    mean = sum((api_cost(price, each) for each in requests), Decimal(0)) / len(requests)
    busy_s = Decimal(sum(machine.busy_s(each) for each in requests)) / len(requests)
    rate = machine.second_usd * Decimal(HOUR_S) / mean
    return BreakEven(requests_an_hour=rate, utilisation=rate * busy_s / Decimal(HOUR_S) / machine.parallel)


def owning_pays_in(
    cheapest_usd: Decimal, requests: Sequence[Request], machine: Machine, owned: OwnedMachine
) -> int | None:
    """Return the month in which owned hardware has cost less than the cheapest other way; None where it never does."""
    months = Decimal(span_s(requests, machine)) / Decimal(HOUR_S) / MONTH_HOURS
    saved = cheapest_usd / months - owned.month_usd - owned.running_usd(MONTH_HOURS)
    return None if saved <= 0 else ceil(owned.purchase_usd / saved)


def ranked(found: Iterable[Mix]) -> Sequence[Mix]:
    """Return mixes, the cheapest first."""
    return sorted(found, key=lambda mix: (mix.dollars, mix.gpus))


def mixes(requests: Sequence[Request], price: TokenPrice, machines: Sequence[Machine]) -> Iterator[Mix]:
    """Yield each choice of GPU types: a request goes to the cheapest chosen type that it fits in.

    Each type follows our policy, so that the API takes what does not pay for a start; what fits nowhere goes there too.
    """
    ordered = sorted(machines, key=lambda machine: machine.second_usd)
    for number in range(len(ordered) + 1):
        for chosen in combinations(ordered, number):
            yield Mix(gpus=tuple(each.price.name for each in chosen), dollars=mixed_cost(requests, price, chosen))


def mixed_cost(requests: Sequence[Request], price: TokenPrice, chosen: Sequence[Machine]) -> Decimal:
    given: list[list[Request]] = [[] for _ in chosen]
    total = Decimal(0)
    for each in requests:
        place = next((at for at, machine in enumerate(chosen) if machine.fits(each)), None)
        if place is None:
            total += api_cost(price, each)
        else:
            given[place].append(each)
    for machine, own in zip(chosen, given, strict=True):
        demand = demand_of(own, price, machine)
        total += replayed_cost(demand, machine, DEFAULT_RULE, machine.price.idle_s) if own else 0
    return total
