"""What did it all cost, line by line, and what is left of the budget?"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from standins.demo.gpu import IDLE_S, dollars_a_second
from standins.json_values import Json
from standins.paths import ROOT

BUDGET_USD = Decimal(5)
"""What the demo's person may spend in a day."""

LINES: Mapping[str, str] = {
    "gpu": "the GPU at work",
    "cold": "its start",
    "tail": "its idle tail, shared",
    "tokens": "tokens",
    "held": "still held",
    "store": "requests to the store",
    "functions": "running functions",
}
TAIL = "tail_s = 600"


def environment_in(folder: Path) -> Mapping[str, str]:
    """Writes fleet and prices whose GPU of the demo has the tail of the stand-in, and gives what names them."""
    found: dict[str, str] = {"GANGLION_BUDGET_OWNER_DAY": str(BUDGET_USD)}
    for variable, name, sections in (
        ("GANGLION_FLEET", "fleet.toml", ("[backends.laptop-gpu]", "[backends.scripted-gpu]")),
        ("GANGLION_PRICES", "prices.toml", ("[prices.cloud-run-l4]",)),
    ):
        text = (ROOT / name).read_text(encoding="utf-8")
        for section in sections:
            before, mark, after = text.partition(section)
            text = before + mark + after.replace(TAIL, f"tail_s = {IDLE_S}", 1)
        (folder / name).write_text(text, encoding="utf-8")
        found[variable] = str(folder / name)
    return found


def turn_lines(turns: Sequence[tuple[str, Json]]) -> Iterator[str]:
    """Tells what each turn cost: its question, and the account of it."""
    for question, report in turns:
        yield f"${Decimal(report['bill']['total_usd']):.9f}  {question}"


def line_sums(reports: Sequence[Json]) -> dict[str, Decimal]:
    """Gives the sum of each line over all turns."""
    return {line: sum((Decimal(each["bill"][f"{line}_usd"]) for each in reports), Decimal(0)) for line in LINES}


def sum_lines(lines: Mapping[str, Decimal]) -> Iterator[str]:
    for line, amount in lines.items():
        if amount or line != "held":
            yield f"${amount:.9f}  {LINES[line]}"
    yield f"${sum(lines.values(), Decimal(0)):.9f}  in all"


def gpu_lines(backend: str, sessions: Sequence[Json]) -> Iterator[str]:
    """Tells what the provider of the GPU asks for, and how much of it was waiting for more."""
    rate = dollars_a_second(backend)
    for session in sessions:
        seconds = Decimal(str(session["billed_s"]))
        share = f"{session['start_s']:.1f} s the start, {IDLE_S:.1f} s the tail"
        cost = f", at ${rate} a second: ${rate * seconds}" if rate else ""
        yield f"session {session['number']}: {session['requests']} requests, {seconds} s ({share}){cost}"


def budget_lines(budgets: Sequence[Json]) -> Iterator[str]:
    for each in budgets:
        taken, limit = Decimal(each["taken_usd"]), Decimal(each["limit_usd"])
        if limit:
            name = str(each["budget"]).replace("_", " ")
            yield f"${taken:.9f} of ${limit} ({name}): {100 * taken / limit:.2f} %"
