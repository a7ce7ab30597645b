"""What did the demo cost, line by line, and how much of the budget is used?"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from standins.demo.gpu import IDLE_S, dollars_a_second
from standins.json_values import Json
from standins.paths import ROOT

BUDGET_USD = Decimal(5)
"""The daily budget of the demo's user."""

LINES: Mapping[str, str] = {
    "gpu": "GPU at work",
    "cold": "GPU start",
    "tail": "GPU idle time, shared",
    "tokens": "tokens",
    "held": "still reserved",
    "store": "store requests",
    "functions": "function executions",
}
CONFIGURED_IDLE = "idle_s = 600"


def environment_in(folder: Path) -> Mapping[str, str]:
    """Writes a fleet and prices whose GPU has the idle time of the stand-in; gives the variables that name them."""
    variables: dict[str, str] = {"GANGLION_BUDGET_OWNER_DAY": str(BUDGET_USD)}
    for variable, name, sections in (
        ("GANGLION_FLEET", "fleet.toml", ("[backends.laptop-gpu]", "[backends.scripted-gpu]")),
        ("GANGLION_PRICES", "prices.toml", ("[prices.cloud-run-l4]",)),
    ):
        text = (ROOT / name).read_text(encoding="utf-8")
        for section in sections:
            before, mark, after = text.partition(section)
            text = before + mark + after.replace(CONFIGURED_IDLE, f"idle_s = {IDLE_S}", 1)
        (folder / name).write_text(text, encoding="utf-8")
        variables[variable] = str(folder / name)
    return variables


def turn_lines(turns: Sequence[tuple[str, Json]]) -> Iterator[str]:
    """Gives a line for each turn with its cost and its question."""
    for question, report in turns:
        yield f"${Decimal(report['bill']['total_usd']):.9f}  {question}"


def line_sums(reports: Sequence[Json]) -> dict[str, Decimal]:
    """Gives the sum of each line over all turns."""
    return {line: sum((Decimal(each["bill"][f"{line}_usd"]) for each in reports), Decimal(0)) for line in LINES}


def sum_lines(lines: Mapping[str, Decimal]) -> Iterator[str]:
    for line, amount in lines.items():
        if amount:
            yield f"${amount:.9f}  {LINES[line]}"
    yield f"${sum(lines.values(), Decimal(0)):.9f}  total"


def gpu_lines(backend: str, sessions: Sequence[Json]) -> Iterator[str]:
    """Gives a line for each session that the GPU's provider bills, with its start-up and idle time."""
    rate = dollars_a_second(backend)
    for session in sessions:
        seconds = Decimal(str(session["billed_s"]))
        share = f"{session['start_s']:.1f} s start, {IDLE_S:.1f} s idle"
        cost = f", ${rate} per second: ${rate * seconds}" if rate else ""
        yield f"session {session['number']}: {session['requests']} requests, {seconds} s billed ({share}){cost}"


def budget_lines(budgets: Sequence[Json]) -> Iterator[str]:
    for each in budgets:
        used, limit = Decimal(each["taken_usd"]), Decimal(each["limit_usd"])
        if limit:
            name = str(each["budget"]).replace("_", " ")
            yield f"${used:.9f} of ${limit} used ({name}): {100 * used / limit:.2f} %"
