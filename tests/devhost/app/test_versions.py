"""Which versions do orchestrations get, and which versions does the host run?"""

import json
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from devhost.app.settings import SettingsError, host_settings
from devhost.app.versions import MISMATCH, VersionMatchStrategy, VersionSettings, is_newer
from tests.devhost.hosts import APPS, Durable, RunningHost, until

STRICT = {"versionMatchStrategy": "Strict", "versionFailureStrategy": "Fail"}

NEWER = [("1.1", "1.0"), ("1.10", "1.9"), ("1.0.0", "1.0"), ("2", "1.9"), ("1.0", ""), ("b", "A"), ("1.0.0.0.1", "1.0")]
NOT_NEWER = [("1.0", "1.0"), ("", ""), ("", "1.0"), (" ", "1.0"), ("1.0", "1.0.0"), ("v1", "V1"), ("1.9", "1.10")]


@pytest.mark.parametrize(("one", "other"), NEWER)
def test_some_versions_are_newer_than_others(one: str, other: str) -> None:
    assert is_newer(one, other)
    assert not is_newer(other, one)


@pytest.mark.parametrize(("one", "other"), NOT_NEWER)
def test_an_equal_or_older_version_is_not_newer(one: str, other: str) -> None:
    assert not is_newer(one, other)


TAKEN = [
    (VersionMatchStrategy.NONE, {None, "0.9", "1.0", "1.1"}),
    (VersionMatchStrategy.STRICT, {"1.0"}),
    (VersionMatchStrategy.CURRENT_OR_OLDER, {None, "0.9", "1.0"}),
]


@pytest.mark.parametrize(("match", "taken"), TAKEN)
def test_each_match_strategy_accepts_its_versions(match: VersionMatchStrategy, taken: set[str | None]) -> None:
    versions = VersionSettings(default="1.0", match=match)
    assert {version for version in (None, "0.9", "1.0", "1.1") if versions.accepts(version)} == taken


def test_a_strategy_that_does_not_exist_is_refused_by_name() -> None:
    wrong = {"extensions": {"durableTask": {"versionMatchStrategy": "Newest"}}}
    with pytest.raises(SettingsError, match="'Newest' is not one of None, Strict, CurrentOrOlder"):
        host_settings(wrong)


def test_strategies_are_read_in_any_case_and_the_defaults_are_those_of_the_real_host() -> None:
    assert host_settings({}).versions == VersionSettings()
    found = host_settings({"extensions": {"durableTask": {"versionMatchStrategy": "strict"}}})
    assert found.versions.match is VersionMatchStrategy.STRICT


def set_versions(app: Path, **durable: str) -> None:
    """An app of this host.json in a folder."""
    shutil.copytree(APPS / "versions", app, dirs_exist_ok=True)
    (app / "host.json").write_text(json.dumps({"extensions": {"durableTask": durable}}), encoding="utf-8")


@contextmanager
def versioned(folder: Path, **durable: str) -> Generator[tuple[RunningHost, httpx.Client]]:
    set_versions(folder / "app", **durable)
    host = RunningHost(app=folder / "app", folder=folder).start()
    try:
        with host.client() as client:
            yield host, client
    finally:
        host.stop()


def outcome(client: httpx.Client, name: str, version: str | None = None) -> tuple[str, Any]:
    query = {} if version is None else {"version": version}
    status = Durable(http=client).wait(client.post(f"/api/start/{name}", params=query).text)
    return status["runtimeStatus"], status["output"]


def test_orchestrations_and_their_children_have_the_default_version_or_their_own(tmp_path: Path) -> None:
    with versioned(tmp_path, defaultVersion="1.0") as (_, client):
        assert outcome(client, "family")[1] == ["1.0", "1.0", "0.5", "0.6"]
        assert outcome(client, "family", "0.9")[1] == ["0.9", "1.0", "0.5", "0.6"]
        assert outcome(client, "goes_on", "0.9")[1] == "0.9"
        assert outcome(client, "tells")[1] == "1.0"


def test_a_newer_version_waits_for_a_host_that_accepts_it(tmp_path: Path) -> None:
    with versioned(tmp_path, defaultVersion="1.0") as (host, client):
        newer = client.post("/api/start/tells?version=1.1").text
        warning = "has an instance of version '1.1', which this host does not run: defaultVersion is '1.0'"
        until(lambda: warning in host.log, "the host says so")
        assert outcome(client, "tells")[1] == "1.0"
        assert Durable(http=client).status(newer)["runtimeStatus"] == "Pending"
        host.stop()
        set_versions(host.app, defaultVersion="1.1")
        host.start()
        with host.client() as again:
            assert Durable(http=again).wait(newer)["output"] == "1.1"


def test_another_version_fails_if_host_json_says_so(tmp_path: Path) -> None:
    with versioned(tmp_path, defaultVersion="1.0", **STRICT) as (_, client):
        assert outcome(client, "tells") == ("Completed", "1.0")
        assert outcome(client, "tells", "0.9") == ("Failed", MISMATCH)
        assert outcome(client, "tells", "1.1") == ("Failed", MISMATCH)


def test_without_a_version_in_host_json_orchestrations_have_an_empty_one(tmp_path: Path) -> None:
    with versioned(tmp_path, versionFailureStrategy="Fail") as (_, client):
        assert outcome(client, "tells") == ("Completed", "")
        assert outcome(client, "tells", "1.0") == ("Failed", MISMATCH)
