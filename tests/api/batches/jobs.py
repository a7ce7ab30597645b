"""How do tests make a batch and read its results?"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.api.harness import Api

type Json = dict[str, Any]


def line(number: int, **changes: Any) -> Json:
    """Return a right line of a batch of responses."""
    body = {"model": "model", "input": f"line {number}", "max_output_tokens": 64}
    return {"custom_id": f"line-{number}", "method": "POST", "url": "/v1/responses", "body": body} | changes


def text_of(lines: Sequence[Any]) -> str:
    return "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in lines)


async def upload(one: Api, text: str | bytes, **form: str) -> str:
    """Upload a batch file and return its id."""
    content = text.encode() if isinstance(text, str) else text
    answer = await one.http.post(
        "/v1/files", data={"purpose": "batch", **form}, files={"file": ("in.jsonl", content, "text/plain")}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def create(one: Api, lines: Sequence[Any], *, endpoint: str = "/v1/responses", **changes: Any) -> Json:
    """Upload lines and create their batch."""
    body = {"endpoint": endpoint, "completion_window": "24h", "input_file_id": await upload(one, text_of(lines))}
    answer = await one.http.post("/v1/batches", json=body | changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ended(one: Api, batch: Mapping[str, Any]) -> Json:
    """Return the batch once everything that was started has ended."""
    await one.orchestrations.ended()
    return (await one.http.get(f"/v1/batches/{batch['id']}")).json()


async def rows(one: Api, file_id: str | None) -> list[Json]:
    """Return the lines of a file of results."""
    if file_id is None:
        return []
    answer = await one.http.get(f"/v1/files/{file_id}/content")
    assert answer.status_code == 200, answer.text
    return [json.loads(each) for each in answer.text.splitlines()]
