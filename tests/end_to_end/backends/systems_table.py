"""What did the last run over every system see? Written to docs/backends.md by the run itself."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from standins.paths import ROOT

PAGE = ROOT / "docs" / "backends.md"
HEADING = "## The last run of every system"
HEAD = (
    "system",
    "asleep",
    "starts",
    "waits on a durable timer",
    "worker killed",
    "a warm turn used",
    "its bill, $",
    "recorded by the stand-in, $",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was seen of one system, as the page says it."""

    system: str
    asleep: str
    starts: str
    waits: str
    killed: str
    used: str
    bill: str
    books: str


def write(rows: Sequence[Row], page: Path = PAGE) -> None:
    """Put the rows in place of the table under the heading; the rest of the page stays as it is."""
    text = page.read_text(encoding="utf-8")
    before, mark, after = text.partition(HEADING)
    beginning, _, rest = after.partition("\n| system |")
    lines = rest.partition("\n\n")
    if not mark or not beginning:
        raise ValueError(f"{page} has no table under {HEADING!r}")
    cells = [HEAD, ["---"] * len(HEAD), *(astuple(row) for row in sorted(rows, key=lambda each: each.system))]
    table = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    page.write_text(f"{before}{mark}{beginning}\n{table}{lines[1]}{lines[2]}", encoding="utf-8")
