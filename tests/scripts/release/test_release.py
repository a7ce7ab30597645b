"""Is a release watched until the new package answers, and is the previous one put back where it does not?"""

import json
import zipfile
from copy import replace
from pathlib import Path

import httpx
import pytest

from scripts.deployment.commands import DeploymentError
from scripts.release.__main__ import Release, functions_of, release, release_in
from scripts.release.watching import Pace, ReleaseError

NO_TIME = Pace(asks=20, agreeing=3, pause_s=0.0, sleep=lambda _: None)


class FakeApp:
    """A function app: deploying changes its release after some answers; `broken` releases never answer."""

    def __init__(self, *, broken: frozenset[str] = frozenset(), turn: str = "completed") -> None:
        self.release, self.pending, self.lag = "old", "old", 0
        self.broken, self.turn = broken, turn
        self.deployed: list[str] = []
        self.turns = 0

    def run(self, *command: str, succeeds: bool = True) -> str:
        if "config-zip" in command:
            self.pending, self.lag = release_in(Path(command[-1])), 4
            self.deployed.append(self.pending)
            return ""
        return "2" if self.pending in self.broken else "48"

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/readyz":
            self.lag -= 1
            self.release = self.pending if self.lag <= 0 or self.lag % 2 else "old"
            return httpx.Response(200, json={"status": "ok", "release": self.release})
        if request.method == "POST":
            self.turns += 1
            return httpx.Response(200, json={"id": f"resp_{self.turns}", "status": "queued"})
        return httpx.Response(200, json={"id": "resp", "status": self.turn, "error": {"code": "server_error"}})

    @property
    def http(self) -> httpx.Client:
        return httpx.Client(base_url="https://app", transport=httpx.MockTransport(self.answer))


def package(folder: Path, name: str) -> Path:
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("release.txt", f"{name}\n")
    return path


@pytest.fixture
def given(tmp_path: Path) -> Release:
    new, old = package(tmp_path, "new"), package(tmp_path, "old")
    return Release(group="g", app="a", package=new, previous=old, functions=40, token="token")


def test_a_release_is_done_when_every_answer_comes_from_it_and_two_turns_are_answered(
    given: Release,
) -> None:
    app, lines = FakeApp(), list[str]()
    release(app.run, app.http, given, NO_TIME, lines.append)
    assert (app.deployed, app.turns) == (["new"], 2)
    assert [line.split()[1:3] for line in lines] == [["the", "first"], ["the", "second"]]


def test_a_package_that_does_not_load_is_replaced_by_the_previous_one(given: Release) -> None:
    app = FakeApp(broken=frozenset({"new"}))
    with pytest.raises(ReleaseError, match=r"lists 2 of 40 functions.*previous package is back: release old"):
        release(app.run, app.http, given, NO_TIME, print)
    assert app.deployed == ["new", "old"]


def test_a_release_whose_turn_fails_is_taken_back(given: Release) -> None:
    app = FakeApp(turn="failed")
    with pytest.raises(ReleaseError, match=r"is failed: .*server_error.*release old"):
        release(app.run, app.http, given, NO_TIME, print)
    assert app.deployed == ["new", "old"]


def test_without_a_previous_package_the_fault_alone_is_told(given: Release) -> None:
    app = FakeApp(broken=frozenset({"new"}))
    with pytest.raises(ReleaseError, match=r"did not load$"):
        release(app.run, app.http, replace(given, previous=None), NO_TIME, print)
    assert app.deployed == ["new"]


def test_a_deployment_that_fails_puts_the_previous_package_back(given: Release) -> None:
    app = FakeApp()

    def failing(*command: str, succeeds: bool = True) -> str:
        if command[-1].endswith("new.zip"):
            raise DeploymentError("az functionapp … failed: conflict")
        return app.run(*command)

    with pytest.raises(ReleaseError, match=r"conflict. The previous package is back"):
        release(failing, app.http, given, NO_TIME, print)
    assert app.deployed == ["old"]


def test_a_previous_package_that_cannot_be_put_back_is_told_with_the_fault_itself(given: Release) -> None:
    app = FakeApp(broken=frozenset({"new"}))

    def failing(*command: str, succeeds: bool = True) -> str:
        if command[-1].endswith("old.zip"):
            raise DeploymentError("az functionapp … failed: conflict")
        return app.run(*command)

    with pytest.raises(ReleaseError, match=r"lists 2 of 40 functions.*could not be put back: .*conflict"):
        release(failing, app.http, given, NO_TIME, print)


def test_a_file_that_is_no_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text(json.dumps({}))
    with pytest.raises(ReleaseError, match=r"x.zip is no package"):
        release_in(tmp_path / "x.zip")


@pytest.mark.parametrize("page", [b'"starting"', b"[]", b"<html>"])
def test_an_app_that_answers_with_no_object_is_put_back(given: Release, page: bytes) -> None:
    app = FakeApp()
    with (
        httpx.Client(
            base_url="https://app", transport=httpx.MockTransport(lambda _: httpx.Response(200, content=page))
        ) as http,
        pytest.raises(ReleaseError, match="could not be put back"),
    ):
        release(app.run, http, given, NO_TIME, print)
    assert app.deployed == ["new", "old"]


@pytest.mark.parametrize("listed", ["", "null\n", "a warning"])
def test_a_list_of_functions_without_a_number_has_none(given: Release, listed: str) -> None:
    def run(*_command: str, succeeds: bool = True) -> str:
        return listed if succeeds else ""

    assert functions_of(run, given) == 0
