"""Is a misspelled setting reported at start, with the name that was meant?"""

import logging
from pathlib import Path

import pytest

from clients.storage.cosmos.settings import account_from
from composition.production import read_configuration
from composition.setting_names import COSMOS, HOST_NAMES, HOST_PREFIX, unknown_host_settings
from domain.errors import ConfigurationError
from settings import ROOT, read_settings
from tests.test_settings import EXAMPLES, REQUIRED_ONLY, RecordingEnvironment

ENVIRONMENT = {name: value for name, value in REQUIRED_ONLY.items() if "COSMOS" not in name}


def problems(**variables: str) -> tuple[str, ...]:
    settings = read_settings({**ENVIRONMENT, **variables})
    try:
        read_configuration(settings)
    except ConfigurationError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    ("misspelled", "meant"),
    [
        ("GANGLION_BUDGET_TENNANT_DAY", "GANGLION_BUDGET_TENANT_DAY"),
        ("GANGLION_TENANT_BUDGET_DAY", "GANGLION_BUDGET_TENANT_DAY"),
        ("GANGLION_budget_tenant_day", "GANGLION_BUDGET_TENANT_DAY"),
        ("GANGLION_HANDOVER", "GANGLION_HANDOVER_S"),
        ("GANGLION_COSMOS_DATABSE", "GANGLION_COSMOS_DATABASE"),
        ("GANGLION_LAPTOP_SMAL_URL", "GANGLION_LAPTOP_SMALL_URL"),
    ],
)
def test_a_misspelled_setting_is_rejected_with_the_nearest_known_name(misspelled: str, meant: str) -> None:
    (problem,) = problems(**{misspelled: "3"})
    assert problem.startswith(f"{misspelled}: ")
    assert problem.endswith(f"did you mean {meant}?")


def test_every_unknown_setting_is_reported_at_once() -> None:
    found = problems(GANGLION_QQQQ="1", GANGLION_BODY_LIMITS="1")
    assert [problem.partition(":")[0] for problem in found] == ["GANGLION_BODY_LIMITS", "GANGLION_QQQQ"]
    assert found[1].endswith("correct or remove GANGLION_QQQQ")


def test_documented_settings_and_empty_variables_are_accepted() -> None:
    budgets = {name: "1" for name in EXAMPLES if "BUDGET_" in name}
    assert problems(**budgets, GANGLION_IDENTITY_CLIENT_ID="id", GANGLION_COSMOS_CA="ca", GANGLION_BUGDET="") == ()


def test_variables_that_a_configuration_file_mentions_are_accepted(tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.toml"
    text = (ROOT / "fleet.toml").read_text(encoding="utf-8")
    fleet.write_text(text.replace("GANGLION_SCRIPTED_URL", "GANGLION_MINE_URL"), encoding="utf-8")
    own = {"GANGLION_MINE_URL": "http://127.0.0.1:1/v1", "GANGLION_SCRIPTED_URL": "http://127.0.0.1:1/v1"}
    assert problems(**own, GANGLION_FLEET=str(fleet)) == ()
    assert [problem.partition(":")[0] for problem in problems(**own)] == ["GANGLION_MINE_URL"]


def test_the_names_of_the_cosmos_settings_are_those_that_the_store_reads() -> None:
    environment = RecordingEnvironment(REQUIRED_ONLY)
    account_from(environment)
    assert {name for name in environment.names if "COSMOS" in name} == COSMOS


def test_a_misspelled_setting_of_the_durable_extension_is_reported_with_the_nearest_name() -> None:
    (warning,) = unknown_host_settings({f"{HOST_PREFIX}storageProvider__typ": "azureManaged"})
    assert warning.endswith(f"did you mean {HOST_PREFIX}storageProvider__type?")


def test_documented_settings_of_the_durable_extension_are_accepted_in_any_case() -> None:
    variables = {f"{HOST_PREFIX}{name}": "1" for name in HOST_NAMES}
    assert list(unknown_host_settings({**variables, **{name.upper(): "1" for name in variables}})) == []


def test_an_unknown_setting_of_the_durable_extension_is_logged_and_the_app_starts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = f"{HOST_PREFIX}maxConcurrentActivityFunction"
    with caplog.at_level(logging.WARNING):
        assert problems(**{name: "10"}) == ()
    assert f"did you mean {HOST_PREFIX}maxConcurrentActivityFunctions?" in caplog.text
