"""Which turns and which faults does a seed draw, and which smaller run shows the same failure?"""

from collections.abc import Callable, Iterator
from copy import replace
from dataclasses import dataclass, fields
from decimal import Decimal
from random import Random
from typing import Any, Final

LEAST_TURNS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The size of a run and its faults; everything else follows from the seed.

    Rates are probabilities, times are virtual seconds. `day_budget` is in dollars.
    """

    seed: int
    turns: int = LEAST_TURNS
    day_budget: Decimal = Decimal(1)
    host_crashes: int = 0
    statement_fault_rate: float = 0.0
    worker_crash_rate: float = 0.0
    worker_stop_rate: float = 0.0
    lost_message_rate: float = 0.0
    longest_delay_s: float = 0.0
    store_fault_rate: float = 0.0
    backend_fault_rate: float = 0.0
    clock_jumps: int = 0
    cancels: int = 0
    issuer_fault_rate: float = 0.0
    rotates_keys: bool = False


def plan_of(seed: int) -> Plan:
    draw = Random(seed)  # noqa: S311 - a run must repeat
    return Plan(
        seed=seed,
        turns=draw.randint(LEAST_TURNS, 5),
        day_budget=draw.choice([Decimal("0.012"), Decimal("0.025"), Decimal(1)]),
        host_crashes=draw.choice([1, 2, 4]),
        statement_fault_rate=draw.choice([0.0, 0.02, 0.08]),
        worker_crash_rate=draw.choice([0.03, 0.1]),
        worker_stop_rate=draw.choice([0.0, 0.03, 0.1]),
        lost_message_rate=draw.choice([0.02, 0.05]),
        longest_delay_s=draw.choice([0.01, 0.5]),
        store_fault_rate=draw.choice([0.0, 0.02, 0.04]),
        backend_fault_rate=draw.choice([0.0, 0.1, 0.2]),
        clock_jumps=draw.choice([0, 1, 2]),
        cancels=draw.choice([0, 0, 1]),
        issuer_fault_rate=draw.choice([0.0, 0.1, 0.3]),
        rotates_keys=draw.choice([False, True]),
    )


def simpler(plan: Plan) -> Iterator[Plan]:
    """Yield plans with one kind of fault less, or less of it."""
    none = Plan(seed=plan.seed)
    for each in fields(plan):
        value, least = getattr(plan, each.name), getattr(none, each.name)
        if value != least:
            yield replace(plan, **{each.name: least})
            if isinstance(value, int) and value > least + 1:
                yield replace(plan, **{each.name: value - 1})


def shrunk(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Return a plan that still fails although no single one of its faults can be left out."""
    while smaller := next((one for one in simpler(plan) if fails(one)), None):
        plan = smaller
    return plan


def described(plan: Plan) -> str:
    """Return what differs from a run without faults."""
    none = Plan(seed=plan.seed)
    parts: list[tuple[str, Any]] = [(each.name, getattr(plan, each.name)) for each in fields(plan)]
    return ", ".join(f"{name}={value}" for name, value in parts if name == "seed" or value != getattr(none, name))
