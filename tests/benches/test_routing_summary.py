"""Are all final cells in the summary, and are the results those that were measured?"""

import math
from collections.abc import Mapping
from copy import replace
from pathlib import Path

import pytest

from benches.routing.cells import Cell, drawn
from benches.routing.measured_cells import FINAL, fortnights
from benches.routing.product import Outcome
from benches.routing.reports import results, summary
from benches.routing.reports.results import BEST_LITELLM, BEST_RULE, DRAWN, PRODUCT, Cost, Measured, keep, kept
from benches.routing.reports.summary import FORTNIGHTS, NEAR, counts_of, print_summary, spread_rows

OUTCOME = Outcome(
    api_usd=1.0,
    gpu_usd=2.0,
    bill_usd=4.0,
    ledger_usd=4.0,
    lives=3,
    wasted=1,
    misses=0,
    idle_since=None,
    earlier_starts=0,
    start_errors=[0.1],
    waits_s=[0.0, 2.5],
)


def measured(name: str, **multiples: float) -> Measured:
    """Return a result with these multiples, by the policy with blanks as underscores."""
    cell = Cell(name=name, arrivals=drawn("fives", 60, 200))
    costs = {each.replace("_", " "): Cost(3.0, multiple) for each, multiple in multiples.items()}
    return Measured(cell=cell, outcome=OUTCOME, costs=costs, controlled=0.9)


def by_litellm(each: Measured, multiple: float) -> Measured:
    return replace(each, costs={**each.costs, BEST_LITELLM: Cost(math.nan, multiple)})


def test_results_are_read_as_they_were_measured(tmp_path: Path) -> None:
    found = [measured("one", product=1.1, best_rule=1.0), measured("two", product=1.2)]
    keep(found, tmp_path / "new" / "cells.json")
    assert kept(tmp_path / "new" / "cells.json") == found


def test_the_record_of_litellm_is_added_to_a_result_that_was_kept_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep([measured("one", product=1.1)], tmp_path / "cells.json")
    record: Mapping[str, Mapping[str, float]] = {"one": {"shuffle": 1.5, "latency": 1.3}}
    monkeypatch.setattr(results, "recorded_litellm", lambda: record)
    (found,) = kept(tmp_path / "cells.json")
    assert found.costs[BEST_LITELLM].multiple == 1.3


def test_a_row_spreads_over_each_set_and_over_all_cells() -> None:
    near = [measured("one", product=1.1), measured("two", product=1.3)]
    long = [measured("three", product=1.0, best_rule=1.0)]
    rows = {row[0]: row for row in spread_rows({"near": near, "long": long, "all": [*near, *long]})}
    assert rows[PRODUCT][1:4] == ["1.30 / 1.30 / 1.30", "1.00 / 1.00 / 1.00", "1.10 / 1.30 / 1.30"]
    assert rows[BEST_RULE][1:4] == ["", "1.00 / 1.00 / 1.00", "1.00 / 1.00 / 1.00"]
    assert DRAWN not in rows


def test_cells_that_miss_a_target_are_counted() -> None:
    cells = [
        by_litellm(measured("cheap", product=1.05, best_rule=1.0), 1.5),
        by_litellm(measured("dear", product=1.3, best_rule=1.0), 1.15),
        by_litellm(measured("easy", product=1.0, best_rule=1.0), 1.05),
        measured("unknown", product=1.25, best_rule=1.2),
    ]
    found = counts_of(cells)
    assert found["more than 1.20 times best rule"] == 1
    assert (found["with LiteLLM"], found["more than 1.10 times best LiteLLM"]) == (3, 1)
    assert (found["LiteLLM above 1.10"], found["of these, product not cheaper"]) == (2, 1)


def test_a_summary_has_all_final_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    with pytest.raises(SystemExit, match="no results of final, fortnights"):
        print_summary()
    for cells, names in ((NEAR, [each.name for each in FINAL]), (FORTNIGHTS, [each.name for each in fortnights()])):
        keep([measured(name, product=1.1, best_rule=1.0) for name in names], results.file_of(cells))
    print_summary()
    printed = capsys.readouterr().out
    assert "near break-even (21) | fortnights (24) | all (45)" in printed
    assert summary.TARGETS[PRODUCT] in printed
