"""Does a model read the text of the caller's files, and is everything else rejected with what works?"""

import base64
from typing import Any

import httpx
import pytest

from tests.api.harness import Api, api
from tests.fakes.backends import FakeBackend, says
from tests.fakes.documents import pdf


def encoded(content: bytes, kind: str = "") -> str:
    data = base64.b64encode(content).decode()
    return f"data:{kind};base64,{data}" if kind else data


FILES: dict[str, tuple[str, str]] = {
    "a PDF as a data URL": (encoded(pdf("Larks rise."), "application/pdf"), "Larks rise."),
    "a PDF in base64": (encoded(pdf("Larks rise.")), "Larks rise."),
    "text": (encoded("Lärchen steigen.".encode(), "text/plain"), "Lärchen steigen."),
    "JSON in base64": (encoded(b'{"larks": 2}'), '{"larks": 2}'),
}
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "zeros as a file": ({"file_data": encoded(b"\0\0\0")}, "file_data", "neither a PDF nor text"),
    "an image as a file": ({"file_data": encoded(b"\x89PNG\xff\xfe")}, "file_data", "neither a PDF nor text"),
    "no base64": ({"file_data": "?!"}, "file_data", "base64"),
    "a broken PDF": ({"file_data": encoded(b"%PDF-1.4\n")}, "file_data", "PDF"),
    "an address": ({"file_url": "https://example.com/a.pdf"}, "file_url", "file_data"),
    "nothing": ({"filename": "a.pdf"}, "file_data", "Missing"),
}


async def asked(one: Api, *parts: dict[str, Any]) -> httpx.Response:
    question = {"type": "input_text", "text": "What do they do?"}
    return await one.create({"model": "auto", "input": [{"role": "user", "content": [question, *parts]}]})


@pytest.mark.parametrize(("data", "text"), FILES.values(), ids=FILES)
async def test_the_model_reads_the_text_of_a_file(data: str, text: str) -> None:
    fake = FakeBackend(says("yes"))
    part = {"type": "input_file", "filename": 'a"<b>.pdf', "file_data": data}
    assert (await asked(api(fake), part)).json()["status"] == "completed"
    assert fake.calls[0].items[0].text == f'What do they do?\n<file name="ab.pdf">\n{text}\n</file>\n'


async def test_a_chat_and_the_result_of_a_function_may_have_files_too() -> None:
    fake = FakeBackend(says("yes"))
    one = api(fake)
    file = {"type": "file", "file": {"filename": "a.txt", "file_data": encoded(b"larks")}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "?"}, file]}]
    assert (
        await one.http.post("/v1/chat/completions", json={"model": "auto", "messages": messages})
    ).status_code == 200
    call = {"type": "function_call", "call_id": "c1", "name": "read", "arguments": "{}"}
    part = {"type": "input_file", "file_data": encoded(b"finches")}
    result = {"type": "function_call_output", "call_id": "c1", "output": [part]}
    assert (await one.create({"model": "auto", "input": [call, result]})).status_code == 200
    assert "larks" in fake.calls[0].items[0].text
    assert "finches" in fake.calls[1].items[1].text


@pytest.mark.parametrize(("fields", "param", "hint"), WRONG.values(), ids=WRONG)
async def test_another_file_is_rejected_with_what_works(fields: dict[str, Any], param: str, hint: str) -> None:
    answer = await asked(api(), {"type": "input_file", **fields})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, f"input[0].content[1].{param}")
    assert hint in error["message"]


async def test_a_file_that_was_never_uploaded_is_not_found_by_its_place() -> None:
    answer = await asked(api(), {"type": "input_file", "file_id": "file-1"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "input[0].content[1].file_id")


UNKNOWN: dict[str, tuple[dict[str, Any], str, str]] = {
    "a video": ({"type": "input_video", "video_url": "https://example.com/a.mp4"}, "type", "'input_video'"),
    "an image of a chat": ({"type": "image_url", "image_url": {"url": "data:,"}}, "type", "'image_url'"),
    "a kind that is no ASCII": ({"type": "bïld" * 50}, "type", r"'b\xefld"),
    "an image by its id": ({"type": "input_image", "file_id": "file-1"}, "file_id", "image by its id"),
}


@pytest.mark.parametrize(("part", "param", "hint"), UNKNOWN.values(), ids=UNKNOWN)
async def test_an_unknown_part_is_rejected_with_what_works(part: dict[str, Any], param: str, hint: str) -> None:
    error = (await asked(api(), part)).json()["error"]
    assert error["param"] == f"input[0].content[1].{param}"
    assert hint in error["message"]
    assert "images (a data URL" in error["message"]


async def test_an_unknown_part_of_a_chat_is_rejected_with_what_works() -> None:
    part = {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}
    body = {"model": "auto", "messages": [{"role": "user", "content": [part]}]}
    error = (await api().http.post("/v1/chat/completions", json=body)).json()["error"]
    assert error["param"] == "messages[0].content[0].type"
    assert "'video_url' is not supported. What works is text, images" in error["message"]


async def test_audio_is_rejected_with_what_works() -> None:
    audio = {"data": "AAAA", "format": "wav"}
    answer = await asked(api(), {"type": "input_audio", "input_audio": audio})
    assert answer.json()["error"]["param"] == "input[0].content[1].type"
    messages = [{"role": "user", "content": [{"type": "input_audio", "input_audio": audio}]}]
    chat = await api().http.post("/v1/chat/completions", json={"model": "auto", "messages": messages})
    assert chat.json()["error"]["param"] == "messages[0].content[0].type"
    for error in (answer.json()["error"], chat.json()["error"]):
        assert "Audio is not supported" in error["message"] or "audio is not supported" in error["message"]
        assert "file_data" in error["message"]
