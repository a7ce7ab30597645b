"""Is a comparison shown as a table, as numbers and as plots?"""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benches.economics.__main__ import main
from benches.economics.report import conclusions, print_report
from tests.benches.economics.samples import CHOICE


def test_the_command_prints_the_table_and_writes_the_numbers_and_the_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "trace.csv"
    rows = [f"2023-11-16 18:{number:02d}:00.0,1000,100" for number in range(20)]
    trace.write_text("\n".join(("TIMESTAMP,ContextTokens,GeneratedTokens", *rows)) + "\n", encoding="utf-8")
    inputs = [str(trace), *CHOICE]
    files = ["--json", str(tmp_path / "numbers.json"), "--svg", str(tmp_path / "plot.svg")]
    assert main([*inputs, *files]) == 0
    shown = capsys.readouterr().out
    numbers = json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8"))
    assert numbers["usd"]["API alone"] == "0.070000000"
    assert f"${numbers['usd']['API alone']}" in shown
    assert "Azure OpenAI pricing" in shown
    drawn = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert drawn.count("<rect") == 1 + len(numbers["usd"]) + len(numbers["mixes"])
    even = f"Break-even at {float(numbers['break_even']['requests_an_hour']):,.0f} requests"
    for title in ("A month of each way", even, "Owning ", "each mix of GPU types"):
        assert title in drawn, title
    assert numbers["mixes"][0] == numbers["cheapest_mix"]
    ET.fromstring(drawn)  # noqa: S314 - our own file
    assert main([*inputs[:2], "no-such-price", *inputs[3:]]) == 1
    assert "--api no-such-price" in capsys.readouterr().err


FOUND: dict[str, Any] = {
    "requests": 1,
    "hours": "0.5000",
    "usd": {"API alone": "2.000000000"},
    "usd_a_month": {"API alone": "2922.00"},
    "break_even": {"requests_an_hour": "1440.250", "utilisation": "0.1230", "within_one_gpu": True},
    "owning_pays_in_month": 3,
    "machines_needed": 1,
    "cheapest_mix": {"gpus": ["gpu", "large"], "usd": "1.000000000"},
    "prices": [{"name": "api", "source": "made up", "date": "2026-11"}],
}


def test_the_table_is_followed_by_what_it_means() -> None:
    assert list(conclusions(FOUND)) == [
        (
            "\nThe API and one GPU that is always on cost the same at 1,440.2 requests an hour, "
            "which use 12.3 % of the GPU."
        ),
        "Your own machine has paid for itself in month 3.",
        "The cheapest mix of GPUs that scale to zero: gpu + large beside the API, $1.000000000.",
        "Price api: made up, 2026-11",
    ]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"owning_pays_in_month": None}, "Your own machine never pays for itself"),
        ({"machines_needed": 3}, "The busiest instant needs 3 GPUs"),
        ({"cheapest_mix": {"gpus": [], "usd": "1"}}, "scale to zero: the API alone, $1."),
        ({"break_even": {**FOUND["break_even"], "within_one_gpu": False}}, "One GPU cannot serve so many"),
    ],
)
def test_each_exception_has_its_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert sentence in "\n".join(conclusions({**FOUND, **changes}))


def test_one_request_is_no_plural(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(FOUND)
    head, _, row, *_ = capsys.readouterr().out.splitlines()
    assert "| 1 request in 0.5000 h" in head
    assert row.startswith("| API alone")
    assert "$2922.00" in row
