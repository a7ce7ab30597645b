"""Is every mistake of a batch named, and does nothing run before all of its lines are right?"""

import json
from typing import Any

import pytest

from api.batches.line_requests import CUSTOM_ID_CHARACTERS
from tests.api.batches.jobs import create, ended, line, rows, text_of, upload
from tests.api.harness import api

DEEP = f'{{"custom_id": "deep", "body": {"[" * 1000}{"]" * 1000}}}'
TWICE = '{"custom_id": "a", "custom_id": "b", "method": "POST", "url": "/v1/responses", "body": {}}'
NOBODY = f"resp_{'0' * 48}"
NOT_A_NUMBER = '{"custom_id": "nan", "method": "POST", "url": "/v1/responses", "body": {"temperature": NaN}}'


def with_body(**fields: Any) -> dict[str, Any]:
    return line(1, body={"model": "model", "input": "hi"} | fields)


@pytest.mark.parametrize(
    ("wrong", "code", "param"),
    [
        ("not JSON", "invalid_json", None),
        ("[]", "invalid_json", None),
        (DEEP, "invalid_value", "body" + "[0]" * 63),
        (NOT_A_NUMBER, "invalid_value", "body.temperature"),
        (TWICE, "invalid_value", "custom_id"),
        (line(1, custom_id=None), "missing_required_parameter", "custom_id"),
        (line(1, custom_id=7), "invalid_value", "custom_id"),
        (line(1, custom_id="x" * (CUSTOM_ID_CHARACTERS + 1)), "invalid_value", "custom_id"),
        (line(1, custom_id="line-0"), "duplicate_custom_id", "custom_id"),
        (line(1, method="GET"), "invalid_value", "method"),
        (line(1, url="/v1/chat/completions"), "invalid_value", "url"),
        (line(1, body="hi"), "invalid_value", "body"),
        (with_body(stream=True), "invalid_value", "body.stream"),
        (with_body(background=True), "invalid_value", "body.background"),
        (with_body(model="nobody"), "model_not_found", "body.model"),
        (with_body(temperature=9), "invalid_value", "body.temperature"),
        (with_body(input=None), "missing_required_parameter", "body.input"),
        (with_body(input="x" * 100_000), "context_length_exceeded", "body.input"),
        (with_body(tools=[{"type": "mcp", "server_label": "nobody"}]), "tool_not_found", "body.tools[0].server_label"),
        (with_body(input="x" * 300_000), "request_too_large", None),
        (with_body(previous_response_id="resp"), "previous_response_not_found", "body.previous_response_id"),
        (
            with_body(previous_response_id=f"resp_{'0' * 48}"),
            "previous_response_not_found",
            "body.previous_response_id",
        ),
        (with_body(conversation="conv_none"), "item_not_found", "body.conversation"),
        (with_body(conversation=f"conv_{'0' * 24}"), "item_not_found", "body.conversation"),
    ],
)
async def test_a_wrong_line_is_named_and_nothing_runs(wrong: Any, code: str, param: str | None) -> None:
    one = api(input_limit=250_000)
    done = await ended(one, await create(one, [line(0), wrong, line(2)]))
    assert done["status"] == "failed"
    (error,) = done["errors"]["data"]
    assert (error["code"], error["line"]) == (code, 2)
    assert error["param"] == param or (param or "").startswith(str(error["param"])[:40])
    assert error["message"]
    assert done["request_counts"] == {"total": 0, "completed": 0, "failed": 0}
    assert "response" not in await one.stored()


async def test_all_wrong_lines_are_named_and_a_list_shows_the_first_hundred() -> None:
    one = api()
    batch = await create(one, ["x"] * 130)
    done = await ended(one, batch)
    assert [each["line"] for each in done["errors"]["data"]] == list(range(1, 131))
    (listed,) = (await one.http.get("/v1/batches")).json()["data"]
    assert listed["id"] == batch["id"]
    assert len(listed["errors"]["data"]) == 100


@pytest.mark.parametrize(("text", "code"), [("", "empty_file"), ("\n\n", "empty_file"), ("\ufeff", "empty_file")])
async def test_a_file_without_lines_is_refused(text: str, code: str) -> None:
    one = api()
    body = {"endpoint": "/v1/responses", "completion_window": "24h", "input_file_id": await upload(one, text or " ")}
    done = await ended(one, (await one.http.post("/v1/batches", json=body)).json())
    assert [each["code"] for each in done["errors"]["data"]] == [code]


async def test_blank_lines_and_line_ends_of_windows_do_not_count() -> None:
    one = api()
    text = f"\r\n{json.dumps(line(0))}\r\n\r\n{json.dumps(line(1))}"
    body = {"endpoint": "/v1/responses", "completion_window": "24h", "input_file_id": await upload(one, text)}
    done = await ended(one, (await one.http.post("/v1/batches", json=body)).json())
    assert [each["custom_id"] for each in await rows(one, done["output_file_id"])] == ["line-0", "line-1"]


@pytest.mark.parametrize("before", ["", "\r\n"])
async def test_a_byte_order_mark_before_the_first_line_is_skipped(before: str) -> None:
    one = api()
    text = f"\N{ZERO WIDTH NO-BREAK SPACE}{before}{text_of([line(0), line(1)])}"
    body = {"endpoint": "/v1/responses", "completion_window": "24h", "input_file_id": await upload(one, text)}
    done = await ended(one, (await one.http.post("/v1/batches", json=body)).json())
    assert [each["custom_id"] for each in await rows(one, done["output_file_id"])] == ["line-0", "line-1"]


@pytest.mark.parametrize(
    ("changes", "status", "param"),
    [
        ({"input_file_id": f"file-{'0' * 32}"}, 404, None),
        ({"input_file_id": None}, 400, "input_file_id"),
        ({"endpoint": "/v1/embeddings"}, 400, "endpoint"),
        ({"completion_window": "1h"}, 400, "completion_window"),
        ({"metadata": {"window_s": "59"}}, 400, "metadata.window_s"),
        ({"metadata": {"window_s": "604801"}}, 400, "metadata.window_s"),
        ({"metadata": {"window_s": "soon"}}, 400, "metadata.window_s"),
        ({"metadata": {"window_s": "604800"}}, 400, "input_file_id"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, 400, "output_expires_after.seconds"),
    ],
)
async def test_a_wrong_batch_is_refused_by_name(changes: dict[str, Any], status: int, param: str | None) -> None:
    one = api()
    expiry = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "90000"}
    body = {
        "endpoint": "/v1/responses",
        "completion_window": "24h",
        "input_file_id": await upload(one, text_of([line(0)]), **expiry),
    }
    answer = await one.http.post("/v1/batches", json=body | changes)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert one.orchestrations.batches == []


async def test_a_file_of_another_purpose_is_refused() -> None:
    one = api()
    body = {
        "endpoint": "/v1/responses",
        "completion_window": "24h",
        "input_file_id": await upload(one, text_of([line(0)]), purpose="user_data"),
    }
    answer = await one.http.post("/v1/batches", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input_file_id")
