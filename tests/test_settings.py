"""Are settings read once, are all problems reported at once, and does docs/operations.md list the same settings?"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.azure_storage.account import storage_identity
from clients.storage.cosmos.settings import account_from
from domain.config.environment import PREFIX
from domain.errors import ConfigurationError
from domain.money.budgets import OF_TENANTS
from settings import ROOT, Settings, read_settings

OPERATIONS = ROOT / "docs" / "operations.md"
ROW = re.compile(r"^\| `(?P<name>GANGLION_[A-Z0-9_]+)` \| (?P<default>[^|]*) \|", re.MULTILINE)
REQUIRED_ONLY = {
    "GANGLION_TOKEN_AUDIENCE": "api://ganglion",
    "GANGLION_TOKEN_TENANTS": "t1",
    "GANGLION_COSMOS_URL": "https://account.documents.azure.com",
}
REQUIRED_ALWAYS = {"GANGLION_TOKEN_AUDIENCE", "GANGLION_TOKEN_TENANTS"}
AZURE = {**REQUIRED_ONLY, "WEBSITE_INSTANCE_ID": "1", "GANGLION_STORE": "cosmos"}
NUMBERS = re.compile(r"_(S|LIMIT|TOKENS|BURST|RUNNING|MINUTE)$")
EXAMPLES = {
    "GANGLION_CACHE_S": "3600",
    "GANGLION_BLOB_URL": "https://account.blob.core.windows.net",
    "GANGLION_STORAGE_TOKEN": "token",
    "GANGLION_STORAGE_CA": "ca.pem",
    "GANGLION_COSMOS_KEY": "key",
    "GANGLION_COSMOS_TOKEN": "token",
    "GANGLION_COSMOS_CA": "ca.pem",
    "GANGLION_TOKEN_KEYS": "keys.json",
    "GANGLION_CONSOLE_CLIENT_ID": "33333333-3333-3333-3333-333333333333",
    "GANGLION_IDENTITY_CLIENT_ID": "22222222-2222-2222-2222-222222222222",
    "GANGLION_OBO_CLIENT_ID": "44444444-4444-4444-4444-444444444444",
    "GANGLION_SEALING_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "GANGLION_FORECAST_TENANT_DAY": "100",
    "GANGLION_GOOGLE_PROVIDER": "projects/1/locations/global/workloadIdentityPools/pool/providers/azure",
    "GANGLION_GOOGLE_SUBJECT_SCOPE": "api://ganglion-federation/.default",
    "GANGLION_OPERATOR_TENANT": "t1",
    "GANGLION_AWS_ROLE": "arn:aws:iam::123456789012:role/ganglion",
    "GANGLION_AWS_SUBJECT_SCOPE": "api://ganglion-federation/.default",
    "GANGLION_AWS_STS_URL": "https://sts.us-east-1.amazonaws.com",
    "GANGLION_BUDGETS": str(ROOT / "prices.toml"),
    "GANGLION_TELEMETRY_TENANTS": "11111111-1111-1111-1111-111111111111",
    **{f"GANGLION_BUDGET_{scope.name}": "12.50" for scope in OF_TENANTS},
    "GANGLION_GOOGLE_SERVICE_ACCOUNT": "caller@project.iam.gserviceaccount.com",
}


class RecordingEnvironment(Mapping[str, str]):
    """An environment that records which of the product's variables are read."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_by_name = values
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        if name.startswith(PREFIX):
            self.names.add(name)
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


def variables() -> set[str]:
    environment = RecordingEnvironment(REQUIRED_ONLY)
    read_settings(environment)
    account_from(environment)
    storage_identity(environment)
    return environment.names


def problems(environment: Mapping[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(environment)
    return caught.value.problems


def named_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that the problems name, in order."""
    return [re.split(r"[: ]", problem)[0] for problem in problems(environment)]


def documented_defaults() -> Mapping[str, str]:
    """Return the defaults in the table of docs/operations.md by variable; a default in backticks is a value."""
    rows = ROW.finditer(OPERATIONS.read_text(encoding="utf-8"))
    return {row["name"]: row["default"].strip() for row in rows}


def effective_settings(environment: Mapping[str, str]) -> Mapping[str, object]:
    """Return the settings that the variables result in, with absolute paths."""
    settings = read_settings(environment)
    values = {name: getattr(settings, name) for name in Settings.__struct_fields__ if name != "variables"}
    values["account"] = account_from(environment)
    values["identity"] = storage_identity(environment)
    return {name: value.resolve() if isinstance(value, Path) else value for name, value in values.items()}


def test_two_settings_are_enough_to_start() -> None:
    settings = read_settings(REQUIRED_ONLY)
    assert (settings.store, settings.on_azure, settings.token_keys) == ("sqlite", False, None)
    assert settings.token_tenants == {"t1"}
    assert settings.fleet == ROOT / "fleet.toml"
    assert settings.variables == REQUIRED_ONLY


def test_all_missing_settings_are_reported_at_once() -> None:
    assert problems({}) == ("GANGLION_TOKEN_AUDIENCE is not set", "GANGLION_TOKEN_TENANTS is not set")


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read_settings({**REQUIRED_ONLY, **dict.fromkeys(variables() - REQUIRED_ONLY.keys(), "")}).store == "sqlite"
    assert set(named_variables(dict.fromkeys(variables(), ""))) == REQUIRED_ALWAYS


@pytest.mark.parametrize("wrong", ["0", "-1", "nan", "inf", "much", "1e999", "1,5"])
def test_a_wrong_number_is_reported_with_what_was_expected_and_found(wrong: str) -> None:
    numbers = {name for name in variables() if NUMBERS.search(name)}
    found = problems({**REQUIRED_ONLY, **dict.fromkeys(numbers, wrong)})
    assert len(numbers) >= 12
    assert {problem.split(":")[0] for problem in found} == numbers
    wording = re.compile(rf"GANGLION_\w+: expected a (whole )?number above 0, found {re.escape(repr(wrong))}")
    assert [problem for problem in found if not wording.fullmatch(problem)] == []


def test_whole_numbers_are_whole() -> None:
    whole = {f"{PREFIX}{name}": "1.5" for name in ("BODY_LIMIT", "DEFAULT_OUTPUT_TOKENS")}
    assert named_variables({**REQUIRED_ONLY, **whole}) == sorted(whole)


def test_a_text_instead_of_a_number_is_reported_in_our_own_words() -> None:
    (problem,) = problems({**REQUIRED_ONLY, "GANGLION_BODY_LIMIT": "many"})
    assert problem == "GANGLION_BODY_LIMIT: expected a whole number above 0, found 'many'"
    (problem,) = problems({**REQUIRED_ONLY, "GANGLION_BUDGET_OWNER_DAY": "much"})
    assert problem == "GANGLION_BUDGET_OWNER_DAY: expected a number above 0, at most 1000000, found 'much'"


MISTAKES = {
    "GANGLION_STORE": "mysql",
    "GANGLION_FLEET": "nowhere/fleet.toml",
    "GANGLION_PRICES": str(ROOT),
    "GANGLION_TOKEN_TENANTS": " , ",
    "GANGLION_TOKEN_AUTHORITY": "http://login.example",
    "GANGLION_TELEMETRY": "file",
    "GANGLION_BODY_LIMIT": "0",
    "GANGLION_BLOB_URL": "https://account.blob.core.windows.net/?sig=a-key",
    "GANGLION_BLOB_CONTAINER": "Files",
    "GANGLION_BUDGET_TENANT_DAY": "-1",
    "GANGLION_BUDGET_OWNER_DAY": "much",
    "GANGLION_BUDGET_WARN_SHARE": "NaN",
}


def test_mistakes_of_every_kind_are_reported_at_once() -> None:
    environment = {**REQUIRED_ONLY, **MISTAKES}
    del environment["GANGLION_TOKEN_AUDIENCE"]
    assert set(named_variables(environment)) == {*MISTAKES, "GANGLION_TOKEN_AUDIENCE"}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_alone_is_reported_alone(name: str) -> None:
    assert named_variables({**REQUIRED_ONLY, name: MISTAKES[name]}) == [name]


def test_a_mistaken_address_is_told_without_its_key_and_its_user() -> None:
    for address in ("https://account.blob.core.windows.net/?sig=a-key", "https://a:key@account.blob.core.windows.net"):
        (problem,) = problems({**REQUIRED_ONLY, "GANGLION_BLOB_URL": address})
        assert "account.blob.core.windows.net" in problem
        assert "key" not in problem.replace("without a key", "")


@pytest.mark.parametrize("share", ["1.01", "80"])
def test_a_share_of_a_budget_at_which_nobody_is_ever_warned_is_reported(share: str) -> None:
    (problem,) = problems({**REQUIRED_ONLY, "GANGLION_BUDGET_WARN_SHARE": share})
    assert problem == f"GANGLION_BUDGET_WARN_SHARE: expected a share above 0, at most 1, found '{share}'"


def test_a_key_in_a_file_and_keys_of_an_issuer_exclude_each_other() -> None:
    both = {"GANGLION_TOKEN_KEYS": "keys.json", "GANGLION_TOKEN_AUTHORITY": "https://login.example"}
    assert named_variables({**REQUIRED_ONLY, **both}) == ["GANGLION_TOKEN_KEYS"]


def test_settings_for_one_machine_are_rejected_on_azure() -> None:
    local = {"GANGLION_STORE": "sqlite", "GANGLION_TOKEN_KEYS": "keys.json"}
    assert named_variables({**AZURE, **local}) == ["GANGLION_STORE", "GANGLION_TOKEN_KEYS"]
    assert "GANGLION_STORE" in named_variables({**REQUIRED_ONLY, "WEBSITE_INSTANCE_ID": "1"})
    assert read_settings({**REQUIRED_ONLY, "GANGLION_TOKEN_KEYS": "keys.json"}).token_keys == Path("keys.json")


def test_addresses_without_tls_are_rejected_on_azure() -> None:
    everywhere = "GANGLION_BLOB_URL"
    addresses = {name for name in variables() if name.endswith(("_URL", "_AUTHORITY"))} - REQUIRED_ONLY.keys()
    addresses -= {everywhere}
    assert named_variables({**REQUIRED_ONLY, everywhere: "http://127.0.0.1:1"}) == [everywhere]
    plain = dict.fromkeys(addresses, "http://127.0.0.1:1")
    read_settings({**REQUIRED_ONLY, **plain, "GANGLION_BLOB_URL": "https://127.0.0.1:1"})
    assert set(named_variables({**AZURE, **plain})) == addresses


@pytest.mark.parametrize("evidence", [{}, {"WEBSITE_AUTH_ENABLED": "false"}, {"WEBSITE_AUTH_ENABLED": ""}])
def test_platform_headers_are_trusted_only_if_the_platform_authenticates(evidence: Mapping[str, str]) -> None:
    assert not read_settings({**AZURE, **evidence}).behind_platform
    assert read_settings({**AZURE, "WEBSITE_AUTH_ENABLED": "True"}).behind_platform
    assert not read_settings({**REQUIRED_ONLY, "WEBSITE_AUTH_ENABLED": "True"}).behind_platform


def test_text_is_flushed_more_often_to_sqlite() -> None:
    assert read_settings(REQUIRED_ONLY).flush_s == 0.05
    assert read_settings({**REQUIRED_ONLY, "GANGLION_STORE": "cosmos"}).flush_s == 0.25


@given(st.lists(st.text("abc-", min_size=1), min_size=1), st.text(" ", max_size=3))
def test_white_space_around_the_names_of_a_list_is_ignored(names: list[str], space: str) -> None:
    text = f",{space}".join(f"{name}{space}" for name in names)
    assert read_settings({**REQUIRED_ONLY, "GANGLION_TOKEN_TENANTS": text}).token_tenants == set(names)


def test_the_documentation_lists_every_variable_and_no_other() -> None:
    assert set(documented_defaults()) == variables()


@pytest.mark.parametrize("name", sorted(variables()))
def test_the_documentation_shows_each_default(name: str) -> None:
    default = documented_defaults()[name]
    assert (name in REQUIRED_ONLY) == default.startswith("required")
    assert (
        default == "none"
        or name in REQUIRED_ONLY
        or effective_settings({**REQUIRED_ONLY, name: default.strip("`")}) == effective_settings(REQUIRED_ONLY)
    )


@pytest.mark.parametrize("name", sorted(name for name, default in documented_defaults().items() if default == "none"))
def test_a_setting_without_a_default_has_an_effect_when_it_is_set(name: str) -> None:
    assert effective_settings({**REQUIRED_ONLY, name: EXAMPLES[name]}) != effective_settings(REQUIRED_ONLY)


def test_the_tenant_of_the_operators_must_be_one_that_may_call() -> None:
    (problem,) = problems({**REQUIRED_ONLY, "GANGLION_OPERATOR_TENANT": "t2"})
    assert problem == "GANGLION_OPERATOR_TENANT: expected one of the tenants in GANGLION_TOKEN_TENANTS"
