"""Does a cluster start its processes, restart killed ones, and leave nothing behind?"""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from standins.cluster import run_record
from standins.cluster.local_cluster import ClusterOptions, LocalCluster, UnusableOptionError
from standins.issuer.entra_tokens import TENANTS, guid_of
from tests.checks import every
from tests.standins.conftest import chat_body
from tests.standins.programs import is_running


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(ClusterOptions(data=tmp_path_factory.mktemp("cluster"), rate=0, host=False)) as cluster:
        yield cluster


def answer(cluster: LocalCluster, name: str, text: str, partial: str | None = None) -> httpx.Response:
    return httpx.post(f"{cluster.model_url(name)}/v1/chat/completions", json=chat_body(text, partial))


def test_one_scripted_model_continues_and_the_other_does_not(cluster: LocalCluster) -> None:
    assert answer(cluster, "scripted", "COUNT 3", "1").json()["choices"][0]["message"]["content"] == " 2 3"
    assert answer(cluster, "scripted-afresh", "COUNT 3", "1").status_code == 400


def test_the_settings_name_the_running_models(cluster: LocalCluster) -> None:
    settings = cluster.environment()
    assert settings["GANGLION_SCRIPTED_URL"] == f"{cluster.model_url('scripted')}/v1"
    assert settings["GANGLION_SCRIPTED_AFRESH_URL"] == f"{cluster.model_url('scripted-afresh')}/v1"
    assert settings["GANGLION_DATA"] == str(cluster.data)
    assert settings["GANGLION_TOKEN_TENANTS"].split(",") == [guid_of("tenant", name) for name in TENANTS]
    assert "GANGLION_LAPTOP_SMALL_URL" not in settings


def test_its_tokens_are_verified_by_its_published_keys(cluster: LocalCluster) -> None:
    settings = cluster.environment()
    keys = jwt.PyJWKSet.from_dict(httpx.get(f"{settings['GANGLION_TOKEN_AUTHORITY']}/common/discovery/keys").json())
    audience = settings["GANGLION_TOKEN_AUDIENCE"]
    claims = jwt.decode(cluster.token(user="bob"), keys.keys[0], algorithms=["RS256"], audience=audience)
    assert claims["oid"] == guid_of("user", "contoso/bob")
    assert claims["tid"] in settings["GANGLION_TOKEN_TENANTS"].split(",")


def test_its_run_record_names_the_services(cluster: LocalCluster) -> None:
    record = run_record.running(cluster.port)
    assert record is not None
    assert record["model"] == "scripted"
    assert record["services"]["scripted"] == {"port": cluster.ports["scripted"], "pid": cluster.models["scripted"].pid}


def test_after_a_stop_neither_a_process_nor_the_run_record_is_left(tmp_path: Path) -> None:
    with LocalCluster(ClusterOptions(data=tmp_path, host=False)) as cluster:
        pids = [child.pid for child in cluster.models.values()]
        assert every(map(is_running, pids))
        assert run_record.running(cluster.port) is not None
    assert not any(map(is_running, pids))
    assert run_record.running(cluster.port) is None


def test_a_killed_model_starts_again_on_its_port(cluster: LocalCluster) -> None:
    cluster.kill_model("scripted")
    with pytest.raises(httpx.ConnectError):
        answer(cluster, "scripted", "COUNT 1")
    cluster.restart_model("scripted")
    assert answer(cluster, "scripted", "COUNT 1").status_code == 200


def test_two_clusters_run_side_by_side(cluster: LocalCluster, tmp_path: Path) -> None:
    with LocalCluster(ClusterOptions(data=tmp_path / "other", host=False)) as other:
        assert other.port != cluster.port
        assert answer(other, "scripted", "COUNT 1").status_code == 200
        assert other.issuer.key_id != cluster.issuer.key_id


def test_a_port_in_use_is_a_clear_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UnusableOptionError, match=f"port {port} is in use"):
            LocalCluster(ClusterOptions(port=port, data=tmp_path, host=False)).start()


def test_its_issuer_restarts_with_its_keys(cluster: LocalCluster) -> None:
    token, address = cluster.token(), f"{cluster.issuer_url}/common/discovery/keys"
    cluster.kill_service("identity")
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)
    cluster.restart_service("identity")
    assert jwt.get_unverified_header(token)["kid"] in httpx.get(address).text


async def test_it_is_also_an_async_context_manager(tmp_path: Path) -> None:
    async with LocalCluster(ClusterOptions(data=tmp_path, rate=0, host=False)) as cluster:
        pids = [child.pid for child in cluster.models.values()]
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{cluster.model_url('scripted')}/health")).status_code == 200
    assert not any(map(is_running, pids))
