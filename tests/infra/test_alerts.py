"""Does every alarm read metrics that exist, with values that they have, and name what to do?"""

import json
import re
import tomllib
from typing import Any

import pytest

from domain.log.events import ResponseStatus
from settings import ROOT
from telemetry import names
from telemetry.metrics import WarmUpOutcome

RULES: list[dict[str, Any]] = json.loads((ROOT / "infra" / "azure" / "alerts.json").read_text(encoding="utf-8"))
NAMES = {value for value in vars(names).values() if isinstance(value, str)}
ALARMS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("## Alarms")[2].partition("\n## ")[0]
GIVEN_UP = "given_up"
ROWS = re.findall(r"^\| ([a-z -]+) \| (?!condition|-)", ALARMS, re.MULTILINE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["name"])
def test_a_rule_reads_metrics_and_attributes_that_the_app_records(rule: dict[str, Any]) -> None:
    read = set(re.findall(r"'(ganglion(?:\.[a-z_]+)+)'", rule["query"]))
    assert read <= NAMES
    assert read or "AppRoleName == 'ganglion'" in rule["query"]
    assert rule["query"].startswith("AppMetrics | where ")
    assert re.search(r"(summarize|project) value = [^|]+$", rule["query"])
    assert rule["severity"] in range(4)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["name"])
def test_a_rule_has_a_row_that_says_what_to_do_and_every_row_has_a_rule(rule: dict[str, Any]) -> None:
    assert rule["runbook"] in ROWS
    assert {each["runbook"] for each in RULES} == set(ROWS)


def test_compared_values_are_values_that_the_app_records() -> None:
    recorded = {*WarmUpOutcome, *ResponseStatus, GIVEN_UP, "gone", "ganglion"}
    compared = set(re.findall(r"'([a-z_]+)'", " ".join(rule["query"] for rule in RULES)))
    assert compared <= recorded
    assert {WarmUpOutcome.REFUSED, WarmUpOutcome.UNPROVEN, ResponseStatus.FAILED, GIVEN_UP} <= compared


def test_the_steps_of_the_forecast_are_80_100_and_150_per_cent() -> None:
    steps = [rule["threshold"] for rule in RULES if "forecast" in rule["name"]]
    assert steps == [0.8, 1.0, 1.5]


def test_the_threshold_of_slow_starts_is_that_of_the_fleet() -> None:
    fleet = tomllib.loads((ROOT / "fleet.toml").read_text())["backends"]
    (slow,) = (rule["threshold"] for rule in RULES if rule["name"] == "slow-starts")
    assert slow == fleet["cloud-run-l4"]["cold"]["p99_s"]
