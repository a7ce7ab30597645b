"""What did it all cost, and what is left of the budget?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from standins.demo.gpu import dollars_a_second
from standins.narrowing import Json

BUDGET_USD = Decimal(5)
"""What the demo's person may spend in a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one turn used: tokens, and dollars as its account says."""

    question: str
    input_tokens: int
    output_tokens: int
    usd: Decimal


def turn_lines(costs: Sequence[Cost]) -> Iterator[str]:
    for cost in costs:
        tokens = f"{cost.input_tokens:>5} in {cost.output_tokens:>4} out"
        yield f"${cost.usd:.9f}  {tokens}  {cost.question}"


def gpu_lines(backend: str, sessions: Sequence[Json], tail_s: float) -> Iterator[str]:
    """Tells what the provider of the GPU asks for, and how much of it was waiting for more."""
    rate = dollars_a_second(backend)
    for session in sessions:
        seconds = Decimal(str(session["billed_s"]))
        share = f"{session['start_s']:.1f} s the start, {tail_s:.1f} s the tail"
        cost = f", at ${rate} a second: ${rate * seconds}" if rate else ""
        yield f"session {session['number']}: {session['requests']} requests, {seconds} s ({share}){cost}"


def budget_line(spent: Decimal, budget: Decimal = BUDGET_USD) -> str:
    return f"${spent:.9f} of ${budget} a day: {100 * spent / budget:.2f} %"
