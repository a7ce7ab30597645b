"""Are calls of tools within their limits? `python -m benches.tools [WAITING]` measures all of them in one run.

Each figure is shown as a share of its limit. Turns on the local host with SQLite; times come from the records of the
stand-ins. WAITING is the number of turns that wait in place.
"""

import asyncio
import statistics
from collections.abc import Iterator

from benches.command_line import chosen_number
from benches.tables import print_table
from benches.tools import mcp_calls, rounds, waiting

DAY_S = 86_400
type Row = tuple[str, float, float]


def of_rounds(times: rounds.RoundTimes) -> Iterator[Row]:
    yield "history events of a round of three", max(times.events), 18
    yield "history of a round of three, KiB", max(times.kib), 2
    yield "last token to tool request, ms", statistics.median(times.to_tool_ms), 40
    yield "last result to model request, ms", statistics.median(times.to_model_ms), 60
    yield "eight calls beyond the slowest, ms", statistics.median(times.beyond_slowest_ms), 60


def of_waiting(figures: waiting.WaitingFigures) -> Iterator[Row]:
    yield "decision to its tool's request, ms", statistics.median(figures.decided_ms), 150
    yield f"activities of {figures.waiting} turns that wait", figures.activities, 0
    yield "timers of each of them", figures.timers / figures.waiting, 1
    yield "days until the last of these timers", figures.longest_timer_s / DAY_S, 5
    beside, alone = statistics.median(figures.beside_ms), statistics.median(figures.alone_ms)
    yield "a turn beside them / alone", beside / alone, NOISE
    yield "the processor for it, beside them / alone", figures.beside_cpu_ms / figures.alone_cpu_ms, NOISE


NOISE = 1.1
"""What counts as nothing measurable: turns on two hosts without any turn that waits differ as much."""


def of_calls(found: mcp_calls.CallFigures) -> Iterator[Row]:
    yield "MCP call over a plain POST, ms", found.beyond_plain_ms, 3
    yield f"start with {mcp_calls.SERVERS} servers, MiB more", found.with_mib - found.without_mib, 10
    yield "modules of MCP at start", len(found.loaded.split(",")) if found.loaded != "-" else 0, 0


def main() -> None:
    count = chosen_number(waiting.WAITING, "waiting")
    times = asyncio.run(rounds.measure(rounds.TURNS))
    rounds.show(times)
    waits = asyncio.run(waiting.measure(waiting.TURNS, count))
    waiting.show(waits)
    calls = mcp_calls.figures(mcp_calls.CALLS)
    mcp_calls.show(calls)
    print_table(
        ("figure", "measured", "limit", "share"),
        [row(*each) for each in (*of_rounds(times), *of_waiting(waits), *of_calls(calls))],
    )


def row(name: str, measured: float, limit: float) -> tuple[str, str, str, str]:
    share = f"{measured / limit:.2f}" if limit else ("-" if not measured else "above")
    return name, f"{measured:.2f}", f"{limit:g}", share


if __name__ == "__main__":
    main()
