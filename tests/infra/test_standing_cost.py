"""Is the standing cost in docs/operations.md added up right, and does it count what the Bicep files create?"""

import json
import re

from settings import ROOT

TEXT = (
    (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("## Standing cost")[2].partition("\n## ")[0]
)
ROW = re.compile(
    r"^\| (?P<line>[^|]+) \| (?P<price>[\d.]+) \| (?P<quantity>[\d.,]+) \| (?P<month>[\d.]+) \|", re.MULTILINE
)
ROWS = {each["line"]: each for each in ROW.finditer(TEXT)}


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_each_line_is_its_price_times_its_quantity() -> None:
    assert len(ROWS) == 16
    for line, row in ROWS.items():
        assert round(number(row["price"]) * number(row["quantity"]), 2) == number(row["month"]), line


def test_the_sums_are_those_of_the_lines() -> None:
    months = {line: number(row["month"]) for line, row in ROWS.items()}
    private = sum(value for line, value in months.items() if line.startswith(("private endpoints", "private DNS")))
    alarms = next(value for line, value in months.items() if line.startswith("alarms"))
    assert f"${private:.0f} without alarms and ${private + alarms:.0f} with them" in TEXT


def test_alarms_and_endpoints_are_counted() -> None:
    rules = json.loads((ROOT / "infra" / "azure" / "alerts.json").read_text())
    alarms = next(row for line, row in ROWS.items() if line.startswith("alarms"))
    assert number(alarms["quantity"]) == len(rules)
    parts = re.findall(r"isPrivate \? \[(.*?)\]", (ROOT / "infra" / "azure" / "storage.bicep").read_text())
    endpoints = next(row for line, row in ROWS.items() if line.startswith("private endpoints"))
    assert number(endpoints["quantity"]) == len(parts[0].split(",")) + 1
