"""Does an app with wrong settings stay alive, take no turn and say why in its log alone?"""

import importlib
import json
import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from composition.misconfigured import misconfigured_routes
from tests.api.harness import serving
from tests.fakes.clocks import FakeClock
from tests.test_composition import ENVIRONMENT

PROBLEM = "GANGLION_BUDGET_TENNANT_DAY: did you mean GANGLION_BUDGET_TENANT_DAY?"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return importlib.import_module("function_app")


@pytest.fixture
def http() -> httpx.AsyncClient:
    app = serving(misconfigured_routes((PROBLEM,), FakeClock()))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ganglion")


def triggers(app: Any) -> dict[str, str]:
    """Return the type of the trigger of each function; a durable client or a timer would be another binding."""
    found: dict[str, str] = {}
    for each in app.get_functions():
        bindings = json.loads(each.get_function_json())["bindings"]
        (found[each.get_function_name()],) = [one["type"] for one in bindings if one["type"] != "http"]
    return found


@pytest.mark.parametrize(
    "wrong",
    [
        {"GANGLION_BUDGET_TENNANT_DAY": "5"},
        {"GANGLION_TOKEN_AUDIENCE": ""},
        {"GANGLION_STORE": "cosmos"},
        {"GANGLION_FLEET": "/dev/zero/fleet.toml"},
    ],
)
def test_a_misconfigured_app_has_http_functions_alone(
    module: ModuleType, wrong: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    app = module.load({**ENVIRONMENT, **wrong})
    assert triggers(app) == {"http_healthz": "httpTrigger", "zz_unknown": "httpTrigger"}
    assert any(name in caplog.text for name in ("GANGLION_COSMOS_URL", *wrong))


def test_a_file_that_is_no_text_is_named(module: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "prices.toml"
    file.write_bytes(b"\xff\xfe")
    module.load({**ENVIRONMENT, "GANGLION_PRICES": str(file)})
    assert f"GANGLION_PRICES: {file} cannot be read: it is not UTF-8 text" in caplog.text


def test_a_configured_app_is_complete(module: ModuleType, tmp_path: Path) -> None:
    kinds = set(triggers_of_all(module.load({**ENVIRONMENT, "GANGLION_DATA": str(tmp_path)})))
    assert kinds >= {"httpTrigger", "activityTrigger", "orchestrationTrigger", "timerTrigger"}


def triggers_of_all(app: Any) -> list[str]:
    return [one["type"] for each in app.get_functions() for one in json.loads(each.get_function_json())["bindings"]]


async def test_it_is_alive_and_answers_everything_else_with_503_and_an_id(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with http:
        alive = await http.get("/healthz")
        answers = [await http.get("/readyz"), await http.post("/v1/responses", json={}), await http.get("/")]
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    for answer in answers:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert answer.headers["x-request-id"].startswith("req_")
        assert answer.json()["error"]["code"] == "unavailable"
        assert "GANGLION" not in answer.text
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [PROBLEM in message for message in errors] == [True] * len(answers)
