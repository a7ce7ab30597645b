"""Does it all come together: has every step and request its function, and is nothing done before it is asked for?"""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from composition.application import compose
from composition.production import open_ports, read_budgets, read_configuration
from domain import wire
from domain.approval_wire import ASK
from domain.batches import batch_wire
from domain.errors import ConfigurationError
from domain.money.budgets import BudgetScope
from scripts.release.__main__ import FUNCTIONS
from settings import ROOT, read_settings
from tests.checks import every
from tests.fakes.clocks import FakeClock
from tests.fakes.tools import caller_server
from tests.orchestrators.durable_host import EventType
from tests.orchestrators.histories.record import HISTORIES

ENVIRONMENT = {
    "GANGLION_TOKEN_AUDIENCE": "api://ganglion",
    "GANGLION_TOKEN_TENANTS": "t1",
    "GANGLION_SCRIPTED_URL": "http://127.0.0.1:1/v1",
}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Import the application as the worker does."""
    for name, value in {**ENVIRONMENT, "GANGLION_DATA": str(tmp_path / "data")}.items():
        monkeypatch.setenv(name, value)
    return importlib.import_module("function_app")


@pytest.fixture
def functions(module: ModuleType, tmp_path: Path) -> Mapping[str, list[dict[str, Any]]]:
    return bindings(module, GANGLION_DATA=str(tmp_path / "data"))


def bindings(module: ModuleType, **settings: str) -> Mapping[str, list[dict[str, Any]]]:
    """Return the bindings of each function as the host is told them, by the function's name."""
    app = module.build(read_settings({**ENVIRONMENT, **settings}))
    found = [
        (each.get_function_name(), json.loads(each.get_function_json())["bindings"]) for each in app.get_functions()
    ]
    names = [name.lower() for name, _ in found]
    assert len(names) == len(set(names))
    return dict(found)


def triggers(functions: Mapping[str, list[dict[str, Any]]], kind: str) -> dict[str, dict[str, Any]]:
    return {name: one for name, bindings in functions.items() for one in bindings if one["type"] == kind}


def recorded_names() -> set[str]:
    """Return every activity that an instance of any release may still ask for."""
    histories = [json.loads(file.read_text(encoding="utf-8"))["history"] for file in HISTORIES.glob("*/*.json")]
    scheduled = [event for history in histories for event in history if event["EventType"] == EventType.TASK_SCHEDULED]
    return {event["Name"] for event in scheduled}


def test_every_activity_name_of_earlier_releases_has_its_function(
    functions: Mapping[str, list[dict[str, Any]]],
) -> None:
    activities = triggers(functions, "activityTrigger")
    assert recorded_names() | {*wire.NEVER_RAISING} <= activities.keys()
    assert every(one["activity"] == name for name, one in activities.items())


def test_a_release_waits_for_about_as_many_functions_as_there_are(
    functions: Mapping[str, list[dict[str, Any]]],
) -> None:
    assert len(functions) - 15 <= FUNCTIONS <= len(functions)


def test_the_orchestrations_are_those_of_turns_webhooks_and_batches(
    functions: Mapping[str, list[dict[str, Any]]],
) -> None:
    orchestrations = triggers(functions, "orchestrationTrigger").values()
    assert [one["orchestration"] for one in orchestrations] == [
        wire.RESPOND,
        wire.DELIVERY_ORCHESTRATION,
        batch_wire.RUN_BATCH,
        batch_wire.RUN_LINES,
    ]


def test_the_steps_after_which_other_turns_follow_have_a_durable_client(
    functions: Mapping[str, list[dict[str, Any]]],
) -> None:
    activities = triggers(functions, "activityTrigger")
    assert [name for name in activities if name in triggers(functions, "durableClient")] == [
        wire.ROUTE,
        wire.INFER,
        ASK,
        wire.FINISH,
        batch_wire.FINISH_BATCH,
    ]


def test_the_sweeper_comes_once_a_minute_with_a_durable_client(
    functions: Mapping[str, list[dict[str, Any]]],
) -> None:
    assert {name: one["schedule"] for name, one in triggers(functions, "timerTrigger").items()} == {
        "sweeper": "0 * * * * *"
    }
    assert "sweeper" in triggers(functions, "durableClient")


def test_what_no_function_answers_comes_last_in_the_hosts_order(
    functions: Mapping[str, list[dict[str, Any]]],
) -> None:
    http = triggers(functions, "httpTrigger")
    assert max(http) == "zz_unknown"
    assert http["zz_unknown"]["route"] == "{*path}"
    assert every(str(one["authLevel"]).lower().endswith("anonymous") for one in http.values())


def test_no_client_is_opened_before_it_is_used(tmp_path: Path) -> None:
    configuration = read_configuration(read_settings({**ENVIRONMENT, "GANGLION_DATA": str(tmp_path / "data")}))
    compose(configuration, open_ports(configuration, FakeClock()))
    assert not (tmp_path / "data").exists()


def test_a_backend_without_a_price_is_named_at_start(tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.toml"
    text = (ROOT / "fleet.toml").read_text(encoding="utf-8")
    fleet.write_text(text.replace('price = "scripted"', 'price = "free"', 1), encoding="utf-8")
    settings = read_settings({**ENVIRONMENT, "GANGLION_FLEET": str(fleet)})
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(settings)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["backends.scripted.price"]


def test_the_sample_of_local_settings_is_read_but_for_what_must_be_filled_in() -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_text(encoding="utf-8"))["Values"]
    blanks = {name for name, value in sample.items() if value.startswith("make parts")}
    filled = {**sample, **dict.fromkeys(blanks, "https://login.example")}
    assert read_settings(filled).store == "sqlite"
    assert blanks >= ENVIRONMENT.keys() - {"GANGLION_SCRIPTED_URL"}


def test_single_tenants_have_the_budgets_of_the_file_that_is_named(tmp_path: Path) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text('[tenants.one]\nowner_month = "7"\n', encoding="utf-8")
    given = {"GANGLION_TOKEN_AUDIENCE": "a", "GANGLION_TOKEN_TENANTS": "t", "GANGLION_BUDGET_TENANT_DAY": "3"}
    budgets = read_budgets(read_settings({**given, "GANGLION_BUDGETS": str(file)}))
    assert budgets.of("one").limits == {BudgetScope.TENANT_DAY: 3, BudgetScope.OWNER_MONTH: 7}
    assert budgets.of("other").limits == read_budgets(read_settings(given)).limits == {BudgetScope.TENANT_DAY: 3}


def test_an_implausible_price_is_a_warning_at_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    prices = (ROOT / "prices.toml").read_text(encoding="utf-8").replace('output = "1.60"', 'output = "9000"')
    file = tmp_path / "prices.toml"
    file.write_text(prices, encoding="utf-8")
    read_configuration(read_settings({**ENVIRONMENT, "GANGLION_DATA": str(tmp_path), "GANGLION_PRICES": str(file)}))
    (warning,) = [record.getMessage() for record in caplog.records if "implausible" in record.getMessage()]
    assert warning.startswith("prices.azure-openai-gpt-4.1-mini.output: $9000 for a million tokens")


def test_a_budget_that_no_backend_fits_is_an_error_at_start_and_one_that_excludes_some_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gpu = {"GANGLION_LAPTOP_SMALL_URL": "http://127.0.0.1:1/v1"}
    read_configuration(read_settings({**ENVIRONMENT, **gpu, "GANGLION_BUDGET_RESPONSE": "0.005"}))
    assert "GANGLION_BUDGET_RESPONSE: $0.005 is below" in caplog.text
    with pytest.raises(ConfigurationError, match=r"GANGLION_BUDGET_RESPONSE: \$0.000000001 is below.*no turn can run"):
        read_configuration(read_settings({**ENVIRONMENT, **gpu, "GANGLION_BUDGET_RESPONSE": "0.000000001"}))


OBO = f"""{caller_server("cases", "http", url="https://cases.internal", scope="api://cases/.default")}
[servers.cases.tools.find]
description = "Finds."
method = "GET"
path = "/v1/cases"
effect = "read"
"""


@pytest.mark.parametrize("key", [None, "c2hvcnQ=", "not base64"])
def test_tools_in_the_callers_name_need_a_key_of_the_right_length(tmp_path: Path, key: str | None) -> None:
    file = tmp_path / "tools.toml"
    file.write_text(OBO)
    given = {"GANGLION_SEALING_KEY": key} if key else {}
    variables = {**ENVIRONMENT, "GANGLION_DATA": str(tmp_path), "GANGLION_TOOLS": str(file), **given}
    with pytest.raises(ConfigurationError, match=r"GANGLION_SEALING_KEY.*expected 32 bytes in base64") as raised:
        read_configuration(read_settings(variables))
    assert key is None or key not in str(raised.value)


def test_they_are_taken_with_such_a_key(tmp_path: Path) -> None:
    file = tmp_path / "tools.toml"
    file.write_text(OBO)
    key = {"GANGLION_SEALING_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
    settings = read_settings({**ENVIRONMENT, "GANGLION_DATA": str(tmp_path), "GANGLION_TOOLS": str(file), **key})
    assert "cases" in read_configuration(settings).tools.known
    assert "sealing_key" not in repr(settings)
