"""Does the owner of a turn learn what a backend said about a failure, and an operator's log nothing of it?"""

import json
import logging
from typing import Any

import pytest

from domain.fleet.failure_classes import Failure, FailureKind
from tests.api.harness import Api, api
from tests.fakes.backends import FakeBackend, says

BODY = {"input": "hi", "model": "model", "background": True}
SCHEMA = {"error": {"message": "Invalid schema: 'secret prompt' has no type", "code": 400}}


def fails(body: str, *, status: int = 400, kind: FailureKind = FailureKind.STATUS) -> list[Any]:
    return [Failure(kind=kind, status=status, body=body)]


async def ended(one: Api) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a turn after its end, and its report."""
    name = (await one.create(BODY)).json()["id"]
    await one.orchestrations.ended()
    made = (await one.http.get(f"/v1/responses/{name}")).json()
    return made, (await one.http.get(f"/v1/responses/{name}/route")).json()


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (fails(json.dumps(SCHEMA)), "Invalid schema: 'secret prompt' has no type"),
        (fails('{"detail": "secret prompt"}', status=422), "secret prompt"),
        (fails("secret prompt\x00\n", status=418), "secret prompt"),
    ],
)
async def test_the_report_has_the_words_and_the_error_points_to_it(
    script: list[Any], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made, report = await ended(api(FakeBackend(script)))
    assert report["attempts"][0]["backend_message"] == told
    assert made["status"] == "failed"
    assert made["error"]["code"] == "invalid_prompt"
    assert made["error"]["message"].startswith(f"The backend gave no answer (status {script[0].status}: ")
    assert f"/v1/responses/{made['id']}/route" in made["error"]["message"]
    assert "secret" not in made["error"]["message"]
    assert "secret" not in caplog.text
    (line,) = [record.getMessage() for record in caplog.records if "An attempt at backend" in record.getMessage()]
    assert line.startswith(f"An attempt at backend main failed: class client, status {script[0].status}, message ")


async def test_a_turn_that_another_backend_saved_shows_what_the_first_one_said() -> None:
    one = api(FakeBackend(fails('{"error": "CUDA out of memory"}', status=500)), FakeBackend(says("one two")))
    made, report = await ended(one)
    assert made["status"] == "completed"
    messages = [(each["result"], each.get("backend_message")) for each in report["attempts"]]
    assert ("done", None) in messages
    assert "CUDA out of memory" in [message for _, message in messages]


async def test_a_backend_that_said_nothing_has_no_message() -> None:
    made, report = await ended(api(FakeBackend(fails("", status=404))))
    assert "backend_message" not in report["attempts"][0]
    assert "route" not in made["error"]["message"]
