"""Is the environment read once, is everything that is wrong named at once, and does the handbook say the same?"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.storage.cosmos.settings import account_from
from domain.errors import ConfigurationError
from domain.money.budgets import BudgetScope
from settings import PREFIX, ROOT, Settings, read_settings
from tests.checks import every

HANDBOOK = ROOT / "docs" / "operations.md"
ROW = re.compile(r"^\| `(?P<name>GANGLION_[A-Z0-9_]+)` \| (?P<default>[^|]*) \|", re.MULTILINE)
LEAST = {
    "GANGLION_TOKEN_AUDIENCE": "api://ganglion",
    "GANGLION_TOKEN_TENANTS": "t1",
    "GANGLION_COSMOS_URL": "https://account.documents.azure.com",
}
NEEDED = {"GANGLION_TOKEN_AUDIENCE", "GANGLION_TOKEN_TENANTS"}
AZURE = {**LEAST, "WEBSITE_INSTANCE_ID": "1", "GANGLION_STORE": "cosmos"}
NUMBERS = re.compile(r"_(S|LIMIT|TOKENS|BURST|RUNNING|MINUTE)$")
EXAMPLES = {
    "GANGLION_COSMOS_KEY": "key",
    "GANGLION_COSMOS_TOKEN": "token",
    "GANGLION_COSMOS_CA": "ca.pem",
    "GANGLION_TOKEN_KEYS": "keys.json",
    "GANGLION_IDENTITY_CLIENT_ID": "22222222-2222-2222-2222-222222222222",
    "GANGLION_FORECAST_TENANT_DAY": "100",
    "GANGLION_GOOGLE_PROVIDER": "projects/1/locations/global/workloadIdentityPools/pool/providers/azure",
    "GANGLION_GOOGLE_SUBJECT_SCOPE": "api://ganglion-federation/.default",
    "GANGLION_BUDGETS": str(ROOT / "prices.toml"),
    **{f"GANGLION_BUDGET_{scope.name}": "12.50" for scope in BudgetScope},
    "GANGLION_GOOGLE_SERVICE_ACCOUNT": "caller@project.iam.gserviceaccount.com",
}


class Asked(Mapping[str, str]):
    """An environment that remembers which of our variables it was asked for."""

    def __init__(self, held: Mapping[str, str]) -> None:
        self.held = held
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        if name.startswith(PREFIX):
            self.names.add(name)
        return self.held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)


def variables() -> set[str]:
    asked = Asked(LEAST)
    read_settings(asked)
    account_from(asked)
    return asked.names


def problems(environment: Mapping[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(environment)
    return caught.value.problems


def named(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that the problems begin with, in their order."""
    return [re.split(r"[: ]", problem)[0] for problem in problems(environment)]


def handbook() -> Mapping[str, str]:
    """Return the defaults of the handbook's table by variable; one that stands in backticks is a value."""
    rows = ROW.finditer(HANDBOOK.read_text(encoding="utf-8"))
    return {row["name"]: row["default"].strip() for row in rows}


def told(environment: Mapping[str, str]) -> Mapping[str, object]:
    """Return the settings that the variables make, files by their place."""
    settings = read_settings(environment)
    values = {name: getattr(settings, name) for name in Settings.__slots__ if name != "variables"}
    values["account"] = account_from(environment)
    return {name: value.resolve() if isinstance(value, Path) else value for name, value in values.items()}


def test_little_is_needed_to_start() -> None:
    settings = read_settings(LEAST)
    assert (settings.store, settings.on_azure, settings.token_keys) == ("sqlite", False, None)
    assert settings.token_tenants == {"t1"}
    assert settings.fleet == ROOT / "fleet.toml"
    assert settings.variables == LEAST


def test_what_is_needed_is_named_all_at_once() -> None:
    assert problems({}) == ("GANGLION_TOKEN_AUDIENCE is not set", "GANGLION_TOKEN_TENANTS is not set")


def test_a_variable_that_is_empty_is_not_set() -> None:
    assert read_settings({**LEAST, **dict.fromkeys(variables() - LEAST.keys(), "")}).store == "sqlite"
    assert set(named(dict.fromkeys(variables(), ""))) == NEEDED


@pytest.mark.parametrize("wrong", ["0", "-1", "nan", "inf", "much", "1e999", "1,5"])
def test_a_number_that_is_none_is_named_with_its_value(wrong: str) -> None:
    numbers = {name for name in variables() if NUMBERS.search(name)}
    found = problems({**LEAST, **dict.fromkeys(numbers, wrong)})
    assert len(numbers) >= 12
    assert {problem.split(" ")[0] for problem in found} == numbers
    assert every(repr(wrong) in problem for problem in found)


def test_whole_numbers_are_whole() -> None:
    whole = {f"{PREFIX}{name}": "1.5" for name in ("BODY_LIMIT", "DEFAULT_OUTPUT_TOKENS")}
    assert named({**LEAST, **whole}) == sorted(whole)


MISTAKES = {
    "GANGLION_STORE": "mysql",
    "GANGLION_FLEET": "nowhere/fleet.toml",
    "GANGLION_PRICES": str(ROOT),
    "GANGLION_TOKEN_TENANTS": " , ",
    "GANGLION_TOKEN_AUTHORITY": "http://login.example",
    "GANGLION_TELEMETRY": "file",
    "GANGLION_BODY_LIMIT": "0",
    "GANGLION_BUDGET_TENANT_DAY": "-1",
    "GANGLION_BUDGET_OWNER_DAY": "much",
    "GANGLION_BUDGET_WARN_SHARE": "NaN",
}


def test_mistakes_of_every_kind_are_named_at_once() -> None:
    environment = {**LEAST, **MISTAKES}
    del environment["GANGLION_TOKEN_AUDIENCE"]
    assert set(named(environment)) == {*MISTAKES, "GANGLION_TOKEN_AUDIENCE"}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_named_by_itself(name: str) -> None:
    assert named({**LEAST, name: MISTAKES[name]}) == [name]


def test_a_key_in_a_file_and_keys_of_an_issuer_exclude_each_other() -> None:
    both = {"GANGLION_TOKEN_KEYS": "keys.json", "GANGLION_TOKEN_AUTHORITY": "https://login.example"}
    assert named({**LEAST, **both}) == ["GANGLION_TOKEN_KEYS"]


def test_what_is_for_one_machine_is_refused_on_azure() -> None:
    local = {"GANGLION_STORE": "sqlite", "GANGLION_TOKEN_KEYS": "keys.json"}
    assert named({**AZURE, **local}) == ["GANGLION_STORE", "GANGLION_TOKEN_KEYS"]
    assert "GANGLION_STORE" in named({**LEAST, "WEBSITE_INSTANCE_ID": "1"})
    assert read_settings({**LEAST, "GANGLION_TOKEN_KEYS": "keys.json"}).token_keys == Path("keys.json")


def test_nothing_goes_without_tls_on_azure() -> None:
    addresses = {name for name in variables() if name.endswith(("_URL", "_AUTHORITY"))} - LEAST.keys()
    plain = dict.fromkeys(addresses, "http://127.0.0.1:1")
    read_settings({**LEAST, **plain})
    assert set(named({**AZURE, **plain})) == addresses


@pytest.mark.parametrize("evidence", [{}, {"WEBSITE_AUTH_ENABLED": "false"}, {"WEBSITE_AUTH_ENABLED": ""}])
def test_the_platform_is_believed_only_where_it_says_that_it_authenticates(evidence: Mapping[str, str]) -> None:
    assert not read_settings({**AZURE, **evidence}).behind_platform
    assert read_settings({**AZURE, "WEBSITE_AUTH_ENABLED": "True"}).behind_platform
    assert not read_settings({**LEAST, "WEBSITE_AUTH_ENABLED": "True"}).behind_platform


def test_text_goes_out_faster_where_a_write_costs_nothing() -> None:
    assert read_settings(LEAST).flush_s == 0.05
    assert read_settings({**LEAST, "GANGLION_STORE": "cosmos"}).flush_s == 0.25


@given(st.lists(st.text("abc-", min_size=1), min_size=1), st.text(" ", max_size=3))
def test_a_list_is_its_names_whatever_space_is_around_them(names: list[str], space: str) -> None:
    text = f",{space}".join(f"{name}{space}" for name in names)
    assert read_settings({**LEAST, "GANGLION_TOKEN_TENANTS": text}).token_tenants == set(names)


def test_the_handbook_lists_every_variable_and_no_other() -> None:
    assert set(handbook()) == variables()


@pytest.mark.parametrize("name", sorted(variables()))
def test_the_handbook_tells_each_default(name: str) -> None:
    default = handbook()[name]
    assert (name in LEAST) == default.startswith("required")
    assert default == "none" or name in LEAST or told({**LEAST, name: default.strip("`")}) == told(LEAST)


@pytest.mark.parametrize("name", sorted(name for name, default in handbook().items() if default == "none"))
def test_what_has_no_default_changes_something_when_it_is_set(name: str) -> None:
    assert told({**LEAST, name: EXAMPLES[name]}) != told(LEAST)
