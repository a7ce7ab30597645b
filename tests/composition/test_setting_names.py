"""Is a misspelled setting reported at start, with the name that was meant?"""

import logging
from pathlib import Path

import pytest

from clients.storage.cosmos.settings import account_from
from composition.production import read_configuration, unknown_names
from composition.setting_names import COSMOS, HOST_NAMES, HOST_PREFIX, edit_distance, unknown_host_settings
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
        ("GANGLION_PRICE", "GANGLION_PRICES"),
        ("GANGLION_TOKEN_AUTORITY", "GANGLION_TOKEN_AUTHORITY"),
        ("GANGLION_COSMOS_DATABSE", "GANGLION_COSMOS_DATABASE"),
        ("GANGLION_STOR", "GANGLION_STORE"),
    ],
)
def test_a_misspelled_setting_of_money_identity_or_store_stops_the_app(misspelled: str, meant: str) -> None:
    (problem,) = problems(**{misspelled: "3"})
    assert problem.startswith(f"{misspelled}: ")
    assert problem.endswith(f"did you mean {meant}?")


@pytest.mark.parametrize(
    ("unknown", "advised"),
    [
        ("GANGLION_HANDOVER", "did you mean GANGLION_HANDOVER_S?"),
        ("GANGLION_LAPTOP_SMAL_URL", "did you mean GANGLION_LAPTOP_SMALL_URL?"),
        ("GANGLION_BUDGET_TENANT_DECADE", "did you mean GANGLION_BUDGET_TENANT_DAY?"),
        ("GANGLION_TOKEN_TENNANTS", "did you mean GANGLION_TOKEN_TENANTS?"),
        ("GANGLION_QQQQ", "correct or remove GANGLION_QQQQ"),
    ],
)
def test_any_other_unknown_setting_is_logged_and_the_app_starts(
    caplog: pytest.LogCaptureFixture, unknown: str, advised: str
) -> None:
    """The tenants are set, so that their misspelling hides nothing; a newer release may have the other names."""
    with caplog.at_level(logging.WARNING):
        assert problems(**{unknown: "3"}) == ()
    (message,) = caplog.messages
    assert message.startswith(f"{unknown}: ")
    assert message.endswith(advised)


def test_every_misspelled_setting_is_reported_at_once() -> None:
    found = problems(GANGLION_BUGDET_OWNER_DAY="1", GANGLION_FORECAST_TENNANT_DAY="1")
    assert [problem.partition(":")[0] for problem in found] == [
        "GANGLION_BUGDET_OWNER_DAY",
        "GANGLION_FORECAST_TENNANT_DAY",
    ]


@pytest.mark.parametrize(
    ("one", "other", "distance"), [("", "", 0), ("DAY", "", 3), ("DAY", "DAYS", 1), ("DAY", "ADY", 2), ("A", "B", 1)]
)
def test_the_edit_distance_counts_changed_characters(one: str, other: str, distance: int) -> None:
    assert edit_distance(one, other) == edit_distance(other, one) == distance


def test_documented_settings_and_empty_variables_are_accepted() -> None:
    budgets = {name: "1" for name in EXAMPLES if "BUDGET_" in name}
    assert problems(**budgets, GANGLION_IDENTITY_CLIENT_ID="id", GANGLION_COSMOS_CA="ca", GANGLION_BUGDET="") == ()


def test_variables_that_a_configuration_file_mentions_are_accepted(tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.toml"
    text = (ROOT / "fleet.toml").read_text(encoding="utf-8")
    fleet.write_text(text.replace("GANGLION_SCRIPTED_URL", "GANGLION_MINE_URL"), encoding="utf-8")
    own = {"GANGLION_MINE_URL": "http://127.0.0.1:1/v1", "GANGLION_SCRIPTED_URL": "http://127.0.0.1:1/v1"}
    assert problems(**own, GANGLION_FLEET=str(fleet)) == ()
    (unknown,) = unknown_names(read_settings({**ENVIRONMENT, **own}))
    assert (unknown.name, unknown.is_error) == ("GANGLION_MINE_URL", False)


def test_the_names_of_the_cosmos_settings_are_those_that_the_store_reads() -> None:
    environment = RecordingEnvironment(REQUIRED_ONLY)
    account_from(environment)
    assert {name for name in environment.names if "COSMOS" in name} == COSMOS


def test_a_misspelled_setting_of_the_durable_extension_is_reported_with_the_nearest_name() -> None:
    (warning,) = unknown_host_settings({f"{HOST_PREFIX}storageProvider__typ": "azureManaged"})
    assert warning.message.endswith(f"did you mean {HOST_PREFIX}storageProvider__type?")


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
