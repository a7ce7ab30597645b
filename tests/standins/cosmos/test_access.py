"""Who may access the local Cosmos DB, over which TLS, and which data survive a restart?"""

import base64
import shutil
import time
from copy import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ServiceRequestError
from azure.cosmos import PartitionKey
from azure.cosmos.exceptions import CosmosHttpResponseError

from clients.storage.cosmos.account import connected
from clients.storage.cosmos.settings import CosmosAccount
from standins.cosmos.account import account_in
from standins.cosmos.node import MANIFESTS, SERVER, Node, SetUpError, find_node, install, installed_packages, wheel_node
from standins.issuer.entra_tokens import issuer_in
from tests.fakes.servers.cosmos import LocalCosmos, local_cosmos, start
from tests.standins.programs import is_running, wait_until

AUDIENCE = "https://127.0.0.1"


@pytest.fixture(scope="module")
def server() -> LocalCosmos:
    return local_cosmos()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK asks three times more when it is refused as it starts."""
    monkeypatch.setenv("AZURE_COSMOS_HEALTH_CHECK_MAX_RETRIES", "0")


async def asked(account: CosmosAccount) -> int:
    """Return the status that an account gets for a question."""
    try:
        async with connected(account, now=time.time()) as client:  # noqa: TID251 - tokens go by the real time
            async for _ in client.list_databases():
                break
            return 200
    except CosmosHttpResponseError as error:
        return error.status_code or 0


def with_token(server: LocalCosmos, **claims: Any) -> CosmosAccount:
    now = time.time()  # noqa: TID251 - as above
    token = server.issuer.app_token(now=now, claims={"aud": AUDIENCE, **claims})
    return replace(server.account(), key="", token=token)


async def test_the_accounts_key_is_accepted_and_no_other(server: LocalCosmos) -> None:
    assert await asked(server.account()) == 200
    wrong = base64.b64encode(b"another key").decode()
    assert await asked(replace(server.account(), key=wrong)) == 401


async def test_a_token_of_the_known_issuer_is_accepted(server: LocalCosmos) -> None:
    assert await asked(with_token(server)) == 200
    assert await asked(with_token(server, aud="https://cosmos.azure.com")) == 200


@pytest.mark.parametrize("claims", [{"aud": "https://elsewhere"}, {"exp": 1_000_000_000}, {"nbf": 9_000_000_000}])
async def test_a_token_for_another_audience_or_time_is_rejected(server: LocalCosmos, claims: dict[str, Any]) -> None:
    assert await asked(with_token(server, **claims)) == 401


async def test_a_forged_token_is_rejected(server: LocalCosmos, tmp_path: Path) -> None:
    stranger = issuer_in(tmp_path).app_token(now=time.time(), claims={"aud": AUDIENCE})  # noqa: TID251 - as above
    assert await asked(replace(server.account(), key="", token=stranger)) == 401
    header, payload, _ = with_token(server).token.split(".")
    assert await asked(replace(server.account(), key="", token=f"{header}.{payload}.AAAA")) == 401
    assert await asked(replace(server.account(), key="", token="nonsense")) == 401


def test_nothing_is_disclosed_without_credentials(server: LocalCosmos) -> None:
    answer = httpx.get(f"{server.url}/dbs", verify=server.context)
    assert (answer.status_code, answer.json()["code"]) == (401, "Unauthorized")


async def test_a_server_of_another_authority_is_not_trusted(server: LocalCosmos, tmp_path: Path) -> None:
    stranger = account_in(tmp_path).authority
    with pytest.raises(ServiceRequestError):
        await asked(replace(server.account(), authority=stranger))


def test_its_secrets_are_readable_only_by_their_owner(tmp_path: Path) -> None:
    files = account_in(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in files.folder.iterdir()} == {0o600}, files.folder
    assert account_in(tmp_path).key == files.key


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return a folder for a server of one's own, where the machine can have one."""
    local_cosmos()
    return tmp_path


async def write_and_read(account: CosmosAccount, *, create: bool) -> list[str]:
    async with connected(account, now=0) as client:
        database = await client.create_database_if_not_exists("kept")
        container = await database.create_container_if_not_exists("items", PartitionKey(path="/tenant"))
        if create:
            await container.create_item({"id": "one", "tenant": "t"})
            await container.execute_item_batch(
                [("create", ({"id": name, "tenant": "t"},)) for name in ("two", "three")], "t"
            )
            await container.delete_item("two", "t")
        return sorted([item["id"] async for item in container.query_items("SELECT * FROM c", partition_key="t")])


async def test_acknowledged_writes_survive_a_kill(own: Path) -> None:
    child, server = start(own)
    assert await write_and_read(server.account(), create=True) == ["one", "three"]
    child.kill()
    with server.files.journal.open("a") as journal:
        journal.write('{"place": "cut o')
    child, server = start(own)
    try:
        assert await write_and_read(server.account(), create=False) == ["one", "three"]
        async with connected(server.account(), now=0) as client:
            container = client.get_database_client("kept").get_container_client("items")
            await container.create_item({"id": "four", "tenant": "t"})
    finally:
        child.stop()
    child, server = start(own)
    try:
        assert await write_and_read(server.account(), create=False) == ["four", "one", "three"]
    finally:
        child.stop()


def test_it_ends_with_its_parent(own: Path) -> None:
    child, _ = start(own)
    assert child.process.stdin is not None
    child.process.stdin.close()
    wait_until(lambda: not is_running(child.pid))
    child.process.wait()


def test_every_package_is_pinned_by_version_and_hash() -> None:
    lock = (SERVER / "package-lock.json").read_text()
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/')
    assert "resolved" not in lock
    assert "://" not in lock


def test_a_package_that_is_not_the_pinned_one_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local_cosmos()
    for name in MANIFESTS:
        shutil.copy(SERVER / name, tmp_path)
    lock = tmp_path / "package-lock.json"
    at = lock.read_text().index('"sha512-') + len('"sha512-')
    lock.write_text(lock.read_text()[:at] + "AAAA" + lock.read_text()[at + 4 :])
    monkeypatch.setattr("standins.cosmos.node.SERVER", tmp_path)
    with pytest.raises(SetUpError, match="EINTEGRITY"):
        install(find_node(), tmp_path / "place")
    assert not (tmp_path / "place").exists()


def test_an_unreachable_registry_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local_cosmos()
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(SetUpError, match="npm could not install the packages of the local Cosmos DB"):
        installed_packages(find_node(), tmp_path)


def test_the_node_from_pypi_is_used_without_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = wheel_node()
    assert wheel is not None
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_node() == wheel == Node(path=wheel.path, npm=(wheel.path, wheel.npm[1]))
    assert Path(wheel.npm[1]).exists()
