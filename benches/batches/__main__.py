"""Runs the benchmark of batches: `python -m benches.batches [LINES]`."""

import asyncio
import sys
from decimal import Decimal

from benches.batches.beside import print_beside
from benches.batches.cached import print_cached
from benches.batches.measured import measure_batch, measure_turns
from benches.batches.on_gpu import print_on_gpu
from benches.batches.traces import print_traces
from benches.command_line import chosen_number
from benches.tables import print_table
from domain.batches.start_time import BatchOption, decide_start

LINES = 1000
START_S, IDLE_S = 60, 600
LINE_S = Decimal("0.4")
"""Seconds of the GPU for a line, eight of them side by side."""

RATE = Decimal("0.0003947")
"""Dollars for a second of an L4 with its machine, as in prices.toml."""

API = Decimal("0.00036")
"""Dollars for a line of 300 tokens in and 150 out on the per-token API."""


async def measure(lines: int) -> None:
    plain, batch = await measure_turns(lines), await measure_batch(lines)
    head = ("", "number a second", "store operations each", "history events each, at most")
    print_table(head, [("plain turns", *plain.row), ("lines of a batch", *batch.row)])
    print(f"\na line takes {batch.seconds / plain.seconds:.2f} times as long as a plain turn\n")
    await print_beside()
    await print_cached()
    print_costs()
    print()
    print_traces()
    print()
    validation = (
        sys.executable,
        "-m",
        "benches.batches.validation",
    )  # a process of its own, for its memory is measured
    await (await asyncio.create_subprocess_exec(*validation)).wait()


def print_costs() -> None:
    """Print what a line costs, by where and with how many others it runs."""
    marginal = RATE * LINE_S
    gpu = BatchOption(
        backend="gpu",
        line_cost=marginal,
        line_s=float(LINE_S),
        start_cost=RATE * (START_S + IDLE_S),
        start_s=START_S,
        is_up=False,
    )
    api = BatchOption(backend="api", line_cost=API, line_s=0.5)
    rows = [
        (f"{lines:,} lines, on a GPU started for them", f"{gpu.cost(lines) / lines:.6f}") for lines in (1, 100, 1000)
    ]
    rows += [("a GPU that is warm anyway", f"{marginal:.6f}"), ("the per-token API", f"{API:.6f}")]
    print_table(("a line on", "dollars"), rows)
    even = decide_start((gpu, api), lines=1, now=0.0, expires_at=86_400.0).break_even
    print(f"\nbreak-even: {even:,} lines")


def main() -> None:
    asyncio.run(measure(chosen_number(LINES, "lines")))
    print()
    print_on_gpu()


if __name__ == "__main__":
    main()
