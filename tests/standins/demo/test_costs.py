"""Does the bill of the demo add up, and has its GPU the idle time of the stand-in?"""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from standins.demo.costs import budget_lines, environment_in, gpu_lines, line_sums, sum_lines, turn_lines


def account(**usd: str) -> dict[str, Any]:
    names = ("gpu", "cold", "tail", "tokens", "held", "store", "functions")
    lines = {f"{name}_usd": usd.get(name, "0") for name in names}
    total = sum((Decimal(amount) for amount in lines.values()), Decimal(0))
    return {"bill": {"status": "final", **lines, "total_usd": f"{total:f}"}}


def test_the_bill_lists_turns_lines_sessions_and_budgets() -> None:
    reports = [account(gpu="0.0000012", store="0.0000001"), account(tail="0.25")]
    assert list(turn_lines([("why?", reports[0])])) == ["$0.000001300  why?"]
    lines = list(sum_lines(line_sums(reports)))
    assert lines[0] == "$0.000001200  GPU at work"
    assert "$0.250000000  GPU idle time, shared" in lines
    assert lines[-1] == "$0.250001300  total"
    assert [line for line in lines if line.startswith("$0.000000000 ")] == []
    assert not [line for line in lines if "reserved" in line]
    session = {"number": 1, "requests": 2, "billed_s": 16.0, "start_s": 5.0}
    assert list(gpu_lines("laptop-gpu", [session])) == [
        "session 1: 2 requests, 16.0 s billed (5.0 s start, 10.0 s idle), $0.0003947 per second: $0.00631520"
    ]
    budgets = [
        {"budget": "owner_day", "limit_usd": "5", "taken_usd": "0.5"},
        {"budget": "tenant_day", "limit_usd": "0", "taken_usd": "0.5"},
    ]
    assert list(budget_lines(budgets)) == ["$0.500000000 of $5 used (owner day): 10.00 %"]


def test_fleet_and_prices_of_the_demo_have_the_idle_time_of_its_gpu(tmp_path: Path) -> None:
    given = environment_in(tmp_path)
    fleet, prices = (tomllib.loads(Path(given[name]).read_text()) for name in ("GANGLION_FLEET", "GANGLION_PRICES"))
    assert (
        fleet["backends"]["laptop-gpu"]["cold"]["idle_s"] == fleet["backends"]["scripted-gpu"]["cold"]["idle_s"] == 10
    )
    assert prices["prices"]["cloud-run-l4"]["idle_s"] == 10
