"""Which account do the settings name, and which settings are rejected?"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from clients.storage.cosmos.containers import DEFINITIONS, as_resource
from clients.storage.cosmos.settings import CosmosAccount, account_from
from clients.storage.port import Container
from domain.errors import ConfigurationError

URL = "https://account.documents.azure.com:443/"
ROOT = Path(__file__).resolve().parents[4]


def problems(**variables: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as refused:
        account_from(
            {f"GANGLION_COSMOS_{name}": value for name, value in variables.items() if name.isupper()} | azure(variables)
        )
    return refused.value.problems


def azure(variables: dict[str, str]) -> dict[str, str]:
    return {"WEBSITE_INSTANCE_ID": "1"} if "azure" in variables else {}


def test_an_address_is_enough_and_the_managed_identity_signs_in() -> None:
    account = account_from({"GANGLION_COSMOS_URL": URL, "WEBSITE_INSTANCE_ID": "1"})
    assert account == CosmosAccount(url=URL, database="ganglion")


def test_key_token_and_ca_may_be_set_for_local_use() -> None:
    given = {"URL": URL, "DATABASE": "d", "KEY": "k", "CA": "/ca.pem"}
    identity = {"GANGLION_IDENTITY_CLIENT_ID": "c"}
    account = account_from({f"GANGLION_COSMOS_{name}": value for name, value in given.items()} | identity)
    assert account == CosmosAccount(url=URL, database="d", key="k", authority=Path("/ca.pem"), client_id="c")


@pytest.mark.parametrize(
    "url", ["", "http://account", "account.documents.azure.com", "https://", "https://user:word@host"]
)
def test_an_invalid_address_is_reported(url: str) -> None:
    assert problems(URL=url) == ("GANGLION_COSMOS_URL: expected https://account.documents.azure.com[:port]",)


def test_local_secrets_are_rejected_on_azure_and_all_named_at_once() -> None:
    told = problems(URL="", KEY="k", CA="/ca.pem", azure="1")
    assert [each.partition(":")[0] for each in told] == [f"GANGLION_COSMOS_{name}" for name in ("URL", "KEY", "CA")]
    assert problems(URL=URL, KEY="k", TOKEN="t") == ("GANGLION_COSMOS_KEY: set either this or GANGLION_COSMOS_TOKEN",)


def test_secrets_do_not_show() -> None:
    assert "secret" not in repr(CosmosAccount(url=URL, key="secret", token="secret"))


def test_every_container_has_a_definition_with_its_whole_key_indexed() -> None:
    resources = {each["id"]: each for each in map(as_resource, DEFINITIONS)}
    assert list(resources) == [container.value for container in Container]
    assert resources["turns"]["partitionKey"] == {
        "paths": ["/tenant", "/subject", "/thread"],
        "kind": "MultiHash",
        "version": 2,
    }
    assert resources["money"]["partitionKey"] == {"paths": ["/tenant"], "kind": "Hash", "version": 2}
    for each in resources.values():
        included = {path["path"] for path in each["indexingPolicy"]["includedPaths"]}
        assert included >= {f"{path}/?" for path in each["partitionKey"]["paths"]}
        assert each["indexingPolicy"]["excludedPaths"] == [{"path": "/*"}]
        assert each["defaultTtl"] == -1


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own modules
        [sys.executable, *command], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.slow
def test_the_definitions_are_printed_for_the_infrastructure() -> None:
    printed = run("-m", "clients.storage.cosmos.setup", "--print")
    assert json.loads(printed.stdout) == [as_resource(each) for each in DEFINITIONS]


@pytest.mark.slow
def test_setup_names_a_missing_setting() -> None:
    done = run("-m", "clients.storage.cosmos.setup")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "cosmos_setup: GANGLION_COSMOS_URL: expected https://account.documents.azure.com[:port]\n"


@pytest.mark.slow
def test_the_sqlite_store_does_not_import_the_sdk() -> None:
    done = run("-c", "import clients.storage.cosmos.settings, sys; sys.exit('azure.cosmos' in sys.modules)")
    assert done.returncode == 0, done.stderr
