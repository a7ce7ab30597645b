"""Does a stage start what it says, recover what it kills, and leave nothing behind?"""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from standins import instance
from standins.identity import TENANTS, guid_of
from standins.stage import Options, PortInUseError, Stage
from tests.checks import every
from tests.standins.conftest import asking
from tests.standins.processes import lives


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(Options(data=tmp_path_factory.mktemp("stage"), rate=0, host=False)) as stage:
        yield stage


def answer(stage: Stage, name: str, text: str, partial: str | None = None) -> httpx.Response:
    return httpx.post(f"{stage.model_url(name)}/v1/chat/completions", json=asking(text, partial))


def test_one_scripted_model_continues_and_the_other_does_not(stage: Stage) -> None:
    assert answer(stage, "scripted", "COUNT 3", "1").json()["choices"][0]["message"]["content"] == " 2 3"
    assert answer(stage, "scripted-afresh", "COUNT 3", "1").status_code == 400


def test_the_settings_name_what_runs(stage: Stage) -> None:
    settings = stage.environment()
    assert settings["GANGLION_SCRIPTED_URL"] == f"{stage.model_url('scripted')}/v1"
    assert settings["GANGLION_SCRIPTED_AFRESH_URL"] == f"{stage.model_url('scripted-afresh')}/v1"
    assert settings["GANGLION_DATA"] == str(stage.data)
    assert settings["GANGLION_TOKEN_TENANTS"].split(",") == [guid_of("tenant", name) for name in TENANTS]
    assert "GANGLION_LAPTOP_SMALL_URL" not in settings


def test_its_tokens_are_verified_by_the_keys_it_names(stage: Stage) -> None:
    settings = stage.environment()
    keys = jwt.PyJWKSet.from_dict(httpx.get(f"{settings['GANGLION_TOKEN_AUTHORITY']}/common/discovery/keys").json())
    audience = settings["GANGLION_TOKEN_AUDIENCE"]
    claims = jwt.decode(stage.token(user="bob"), keys.keys[0], algorithms=["RS256"], audience=audience)
    assert claims["oid"] == guid_of("user", "contoso/bob")
    assert claims["tid"] in settings["GANGLION_TOKEN_TENANTS"].split(",")


def test_its_record_names_the_services(stage: Stage) -> None:
    record = instance.running(stage.port)
    assert record is not None
    assert record["model"] == "scripted"
    assert record["services"]["scripted"] == {"port": stage.ports["scripted"], "pid": stage.models["scripted"].pid}


def test_it_leaves_neither_a_process_nor_its_record_behind(tmp_path: Path) -> None:
    with Stage(Options(data=tmp_path, host=False)) as stage:
        pids = [child.pid for child in stage.models.values()]
        assert every(map(lives, pids))
        assert instance.running(stage.port) is not None
    assert not any(map(lives, pids))
    assert instance.running(stage.port) is None


def test_a_killed_model_starts_again_on_its_port(stage: Stage) -> None:
    stage.kill_model("scripted")
    with pytest.raises(httpx.ConnectError):
        answer(stage, "scripted", "COUNT 1")
    stage.restart_model("scripted")
    assert answer(stage, "scripted", "COUNT 1").status_code == 200


def test_two_stages_run_side_by_side(stage: Stage, tmp_path: Path) -> None:
    with Stage(Options(data=tmp_path / "other", host=False)) as other:
        assert other.port != stage.port
        assert answer(other, "scripted", "COUNT 1").status_code == 200
        assert other.issuer.key_id != stage.issuer.key_id


def test_a_port_in_use_is_said_plainly(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {port} is in use"):
            Stage(Options(port=port, data=tmp_path, host=False)).start()


def test_its_issuer_comes_back_with_its_keys(stage: Stage) -> None:
    token, address = stage.token(), f"{stage.issuer_url}/common/discovery/keys"
    stage.kill_service("identity")
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)
    stage.restart_service("identity")
    assert jwt.get_unverified_header(token)["kid"] in httpx.get(address).text


async def test_it_is_an_async_context_manager_too(tmp_path: Path) -> None:
    async with Stage(Options(data=tmp_path, rate=0, host=False)) as stage:
        pids = [child.pid for child in stage.models.values()]
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{stage.model_url('scripted')}/health")).status_code == 200
    assert not any(map(lives, pids))
