"""Which key opens which URL?"""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from devhost.app.settings import SettingsError
from devhost.http.keys import (
    AuthLevel,
    HostKeys,
    create_ignored_folder,
    level_from_text,
    load_or_create_keys,
    with_function_keys,
)
from tests.devhost.cli.test_commands import devhost, output_of
from tests.devhost.hosts import RunningHost, running, until

WEBHOOKS = "/runtime/webhooks/durabletask/instances"
ALL = HostKeys(master="m", host="h", durable="d", functions={"f": "own"})


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    with running("keyed", tmp_path_factory.mktemp("keyed"), "--enable-auth") as host:
        yield host


@pytest.fixture
def client(host: RunningHost) -> Iterator[httpx.Client]:
    with host.client() as client:
        yield client


@pytest.fixture
def keys(host: RunningHost) -> dict[str, Any]:
    return json.loads((host.folder / "keys.json").read_text(encoding="utf-8"))


OPENED = [
    ("/api/open", {"", "master", "host", "durable", "one", "other"}),
    ("/api/one", {"master", "host", "one"}),
    ("/api/other", {"master", "host", "other"}),
    ("/api/locked", {"master"}),
    (WEBHOOKS, {"master", "durable"}),
    ("/admin/host/status", {"master"}),
    ("/admin/functions", {"master"}),
    ("/admin/host/ping", {"", "master", "host", "durable", "one", "other"}),
]


@pytest.mark.parametrize(("path", "opening"), OPENED)
def test_each_address_opens_to_its_own_keys(
    client: httpx.Client, keys: dict[str, Any], path: str, opening: set[str]
) -> None:
    named = {"": "wrong", "master": keys["master"], "host": keys["host"], "durable": keys["durable"]}
    named |= {name: keys["functions"][name] for name in ("one", "other")}
    by_header = {n for n, key in named.items() if client.get(path, headers={"x-functions-key": key}).is_success}
    by_query = {n for n, key in named.items() if client.get(path, params={"code": key}).is_success}
    assert by_header == by_query == opening


def test_without_a_key_the_answer_is_401_and_empty(client: httpx.Client) -> None:
    for path in ("/api/one", WEBHOOKS, "/admin/host/status", "/%61dmin/host/status"):
        answer = client.get(path)
        assert (answer.status_code, answer.content) == (401, b"")


def test_the_addresses_of_an_instance_carry_the_key_that_opens_them(client: httpx.Client) -> None:
    found = client.get("/api/starts").json()
    until(lambda: client.get(found["statusQueryGetUri"]).json()["output"] == "napped", "the orchestration ends")
    assert client.get(found["statusQueryGetUri"].partition("?")[0]).status_code == 401
    assert client.post(found["restartPostUri"]).status_code == 202


def test_the_command_line_knows_the_keys(host: RunningHost, keys: dict[str, Any]) -> None:
    assert "INSTANCE" in output_of(host, "instances")
    assert json.loads(output_of(host, "keys", "--json")) == keys
    assert [line.split()[:-1] for line in output_of(host, "keys").splitlines()] == [
        ["OPENS"],
        ["everything"],
        ["every", "function"],
        ["the", "management", "API"],
        ["function", "one"],
        ["function", "other"],
    ]


def test_the_keys_stay_and_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = load_or_create_keys(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    more = with_function_keys(path, first, ["f"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_keys(path) == more
    assert (more.master, set(more.functions)) == (first.master, {"f"})
    assert with_function_keys(path, more, ["f"]) is more


def test_git_ignores_the_host_files_in_an_apps_folder(tmp_path: Path) -> None:
    create_ignored_folder(tmp_path / ".devhost")
    assert (tmp_path / ".devhost" / ".gitignore").read_text(encoding="utf-8") == "*\n"
    create_ignored_folder(tmp_path / "data")
    assert not (tmp_path / "data" / ".gitignore").exists()


def test_a_key_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text('{"required": true}', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"keys\.json"):
        load_or_create_keys(tmp_path / "keys.json")
    assert f"devhost: {tmp_path}/keys.json: " in devhost("keys", "--db", str(tmp_path / "hub.db")).stderr


def test_no_key_opens_nothing_but_the_open() -> None:
    assert [ALL.accepts(None, level, "f") for level in AuthLevel] == [True, False, False, False]
    assert [ALL.accepts("", level, "nobody") for level in AuthLevel] == [True, False, False, False]
    assert [ALL.accepts("no \udcff UTF-8", level, "f") for level in AuthLevel] == [True, False, False, False]


def test_a_function_without_a_level_requires_a_key() -> None:
    assert [level_from_text(text) for text in (None, "", "ANONYMOUS", "Admin")] == [
        AuthLevel.FUNCTION,
        AuthLevel.FUNCTION,
        AuthLevel.ANONYMOUS,
        AuthLevel.ADMIN,
    ]


def test_by_default_no_key_is_required_and_the_functions_are_listed(tmp_path: Path) -> None:
    with running("keyed", tmp_path) as host, host.client() as client:
        assert [client.get(path).status_code for path, _ in OPENED] == [200] * len(OPENED)
        listed = client.get("/admin/functions").json()
        assert [one["name"] for one in listed] == ["everybody", "locked", "naps", "one", "other", "starts"]
        one = client.get("/admin/functions/ONE").json()
        assert (one["invoke_url_template"], one["config"]["bindings"][0]["type"]) == (
            f"{host.origin}/api/one",
            "httpTrigger",
        )
        assert client.get("/admin/functions/nobody").status_code == 404


def test_a_host_that_requires_no_keys_keeps_none_for_one_that_does(tmp_path: Path) -> None:
    with running("keyed", tmp_path) as host, host.client() as client:
        given = client.get("/api/starts").json()["statusQueryGetUri"]
        assert "no keys of a host that requires them" in devhost("keys", "--db", str(tmp_path / "hub.db")).stderr
        assert "INSTANCE" in output_of(host, "instances")
    assert not (tmp_path / "keys.json").exists()
    with running("keyed", tmp_path, "--enable-auth") as host, host.client() as client:
        assert client.get(WEBHOOKS, params={"code": httpx.URL(given).params["code"]}).status_code == 401


def test_the_keys_of_an_earlier_version_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"master": "m", "host": "h", "durable": "d", "functions": {}}', encoding="utf-8")
    assert load_or_create_keys(path).master != "m"
    assert load_or_create_keys(path) == load_or_create_keys(path)


def test_keys_that_can_not_be_saved_are_valid_until_the_host_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = with_function_keys(tmp_path / "missing" / "keys.json", ALL, ["g"])
    assert found.accepts(found.functions["g"], AuthLevel.FUNCTION, "g")
    assert "this host's end loses the keys of g" in capsys.readouterr().out


def test_the_database_is_for_its_owner_only(tmp_path: Path) -> None:
    (tmp_path / "hub.db").touch(mode=0o644)
    with running("keyed", tmp_path) as host, host.client() as client:
        client.get("/api/starts")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("hub.db*")}
    assert modes == dict.fromkeys(("hub.db", "hub.db-wal", "hub.db-shm", "hub.db.lock"), 0o600)
