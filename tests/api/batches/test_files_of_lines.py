"""May a line of a batch name files by their ids, and is each wrong one named before anything runs?"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.files.stored_file import StoredFile
from domain.identity.owners import Owner
from state.files.file_store import FileStore
from tests.api.batches.jobs import Json, create, ended, line, rows
from tests.api.harness import Api, api
from tests.fakes.backends import FakeBackend, says

NOTE = b"Ada likes ships."
WORDS = b"word " * 30_000
"""More than the model's window has room for."""


async def uploaded(one: Api, content: bytes = NOTE, *, purpose: str = "user_data", by: str = "mine") -> str:
    files = {"file": ("note.txt", content, "text/plain")}
    headers = {"authorization": f"Bearer {by}"}
    answer = await one.http.post("/v1/files", data={"purpose": purpose}, files=files, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def naming(number: int, *files: str) -> Json:
    content = [{"type": "input_text", "text": "Who?"}, *({"type": "input_file", "file_id": each} for each in files)]
    return line(number, body={"model": "model", "input": [{"role": "user", "content": content}]})


async def test_a_line_reads_the_files_that_it_names() -> None:
    model = FakeBackend(*(says("Ada") for _ in range(2)))
    one = api(model)
    file = await uploaded(one)
    done = await ended(one, await create(one, [naming(0, file), naming(1, file, file)]))
    assert (done["status"], done["request_counts"]["completed"]) == ("completed", 2)
    assert sorted(str(call).count(NOTE.decode()) for call in model.calls) == [1, 2]
    assert len(await rows(one, done["output_file_id"])) == 2


async def test_a_chat_reads_the_file_that_it_names() -> None:
    model = FakeBackend(says("Ada"))
    one = api(model)
    content = [{"type": "file", "file": {"file_id": await uploaded(one)}}]
    body = {"model": "model", "messages": [{"role": "user", "content": content}]}
    chat = line(0, url="/v1/chat/completions", body=body)
    done = await ended(one, await create(one, [chat], endpoint="/v1/chat/completions"))
    assert done["status"] == "completed", done
    assert NOTE.decode() in str(model.calls)


@pytest.mark.parametrize(
    ("content", "purpose", "by", "code", "param"),
    [
        (NOTE, "user_data", "strange", "item_not_found", "body.input[0].content[1].file_id"),
        (json.dumps(line(0)).encode(), "batch", "mine", "invalid_value", "body.input[0].content[1].file_id"),
        (b"\x00\xff", "user_data", "mine", "invalid_value", "body.input[0].content[1].file_id"),
        (b"x" * 200_001, "user_data", "mine", "request_too_large", "body.input[0].content[1].file_id"),
        (b"y" * 150_000, "user_data", "mine", "request_too_large", "body.input[0].content[2].file_id"),
        (WORDS[:100_000], "user_data", "mine", "context_length_exceeded", "body.input"),
    ],
    ids=["another owner's", "of a batch", "without text", "too large", "too large together", "beyond the window"],
)
async def test_a_wrong_file_is_named_and_nothing_runs(
    content: bytes, purpose: str, by: str, code: str, param: str
) -> None:
    one = api(input_limit=200_000)
    file = await uploaded(one, content, purpose=purpose, by=by)
    done = await ended(one, await create(one, [line(0), naming(1, file, file), line(2)]))
    (error,) = done["errors"]["data"]
    assert (done["status"], error["line"], error["code"], error["param"]) == ("failed", 2, code, param)
    assert error["message"]
    assert "response" not in await one.stored()


async def test_a_line_names_fifty_files_at_most() -> None:
    one = api()
    file = await uploaded(one, b"x")
    done = await ended(one, await create(one, [naming(0, *[file] * 51)]))
    (error,) = done["errors"]["data"]
    assert (error["code"], error["param"]) == ("invalid_value", "body.input[0].content[51].file_id")


async def test_a_check_reads_a_file_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one = api()
    file, read = await uploaded(one), list[str]()
    whole = FileStore.content

    def watched(self: FileStore, owner: Owner, stored: StoredFile, first: int, end: int) -> AsyncIterator[bytes]:
        read.append(stored.id)
        return whole(self, owner, stored, first, end)

    monkeypatch.setattr(FileStore, "content", watched)
    wrong: Any = line(500, method="GET")
    made = await create(one, [*(naming(number, file) for number in range(300)), wrong])
    assert read.count(file) == 0
    done = await ended(one, made)
    assert (done["status"], len(done["errors"]["data"]), read.count(file)) == ("failed", 1, 1)
