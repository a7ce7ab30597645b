"""May a page of another origin call the app?"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from devhost.http.cors_policy import CorsPolicy, cors_from_settings
from tests.devhost.hosts import APPS, RunningHost

PAGE = "http://localhost:3000"
ASKED = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-own"}


@pytest.mark.parametrize(
    ("text", "origin", "allowed"),
    [
        ("*", PAGE, "*"),
        (f"https://a.example, {PAGE}/", PAGE, PAGE),
        ("https://a.example", PAGE, None),
        ("", PAGE, None),
        ("*", None, None),
    ],
)
def test_an_origin_is_allowed_when_it_is_listed(text: str, origin: str | None, allowed: str | None) -> None:
    cors = cors_from_settings({"CORS": text})
    assert cors.response_headers(origin).get("Access-Control-Allow-Origin") == allowed


def test_with_credentials_the_origin_is_named() -> None:
    headers = cors_from_settings({"CORS": "*", "CORSCredentials": True}).response_headers(PAGE)
    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert headers["Access-Control-Allow-Credentials"] == "true"


def test_a_question_of_another_origin_is_not_answered() -> None:
    assert CorsPolicy(origins=frozenset({"https://a.example"})).preflight_headers(ASKED) == {}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("cors")
    app = Path(shutil.copytree(APPS / "classic", folder / "app"))
    settings = {"Host": {"CORS": PAGE}}
    (app / "local.settings.json").write_text(json.dumps(settings), encoding="utf-8")
    host = RunningHost(app=app, folder=folder).start()
    with host.client() as client:
        yield client
    host.stop()


def test_a_preflight_request_is_answered_without_the_app(client: httpx.Client) -> None:
    answer = client.options("/v1/text", headers=ASKED)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == "x-own"


def test_an_answer_of_the_app_is_marked_for_an_allowed_origin_only(client: httpx.Client) -> None:
    assert client.get("/v1/text", headers={"Origin": PAGE}).headers["access-control-allow-origin"] == PAGE
    assert "access-control-allow-origin" not in client.get("/v1/text", headers={"Origin": "https://b.example"}).headers


def test_an_options_request_that_is_no_preflight_goes_to_the_app(client: httpx.Client) -> None:
    assert client.options("/v1/echo/one").text == "rest echo/one"
