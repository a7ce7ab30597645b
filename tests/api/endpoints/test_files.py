"""Do all operations of the official SDK on files work, and what does a wrong upload get?"""

import gzip
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import openai
import pytest

from api.uploads.form import FIELD_BYTES, FIELDS_LIMIT
from domain.errors import Unavailable
from domain.turns.rate_limits import RateLimit, RateLimits
from state.files.parts import PART_BYTES
from state.files.upload import ABANDONED_S, FileUpload
from tests.api.harness import Api, api
from tests.api.test_sdk import sdk
from tests.fakes.backends import FakeBackend, says
from tests.fakes.contents import MemoryContents
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER

LINES = b'{"custom_id":"a"}\n' * 40_000
"""More than two parts."""
DATA = {"purpose": "user_data"}


async def upload(one: Api, content: bytes = b"hello", name: str = "a.txt", **fields: str) -> dict[str, Any]:
    answer = await one.http.post("/v1/files", files={"file": (name, content)}, data=DATA | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def names(one: Api, **query: Any) -> list[str]:
    return [each["filename"] for each in (await one.http.get("/v1/files", params=query)).json()["data"]]


async def test_a_file_is_uploaded_listed_read_and_deleted() -> None:
    async with sdk(api()) as client:
        made = await client.files.create(file=("lines.jsonl", LINES), purpose="batch")
        assert (made.object, made.bytes, made.filename, made.purpose) == ("file", len(LINES), "lines.jsonl", "batch")
        assert made.expires_at == made.created_at + 30 * 86_400
        assert await client.files.retrieve(made.id) == made
        assert (await client.files.content(made.id)).content == LINES
        assert [each async for each in client.files.list(purpose="batch")] == [made]
        assert [each async for each in client.files.list(purpose="user_data")] == []
        assert (await client.files.delete(made.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.files.content(made.id)


async def test_files_are_listed_newest_first_in_pages() -> None:
    one = api()
    for name in ("a", "b", "c"):
        last = await upload(one, name=name)
        one.world.clock.advance(1)
    assert await names(one) == ["c", "b", "a"]
    first = (await one.http.get("/v1/files", params={"limit": 2})).json()
    assert (first["has_more"], await names(one, after=first["last_id"])) == (True, ["a"])
    assert await names(one, after=last["id"], limit=1) == ["b"]
    for query in ({"purpose": "vision"}, {"order": "old"}, {"limit": 10_001}):
        answer = await one.http.get("/v1/files", params=query)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(query)))


async def test_files_are_listed_in_the_order_and_by_the_purpose_that_the_sdk_can_ask_for() -> None:
    one = api()
    for name, purpose in (("a", "user_data"), ("b", "batch_output"), ("c", "batch"), ("d", "batch_output")):
        begun = FileUpload(one.world.app.state.files, OWNER)
        await begun.add(name.encode())
        await begun.complete(filename=name, purpose=purpose, keep_s=None)
        one.world.clock.advance(1)
    async with sdk(one) as client:
        for limit in (1, 3, 10_000):
            oldest_first = [each.filename async for each in client.files.list(order="asc", limit=limit)]
            newest_first = [each.filename async for each in client.files.list(order="desc", limit=limit)]
            assert ("".join(oldest_first), "".join(newest_first)) == ("abcd", "dcba")
        outputs = client.files.list(purpose="batch_output", order="asc")
        assert [each.filename async for each in outputs] == ["b", "d"]
        gone, *_ = [each.id async for each in client.files.list(order="asc")]
        await client.files.delete(gone)
        assert [each.filename async for each in client.files.list(order="asc", after=gone)] == ["b", "c", "d"]
        with pytest.raises(openai.NotFoundError):
            await client.files.list(order="asc", after="file-none")


async def test_the_same_content_is_the_same_file_and_another_name_another() -> None:
    one = api()
    made = await upload(one, LINES)
    before = stored_documents(one)
    one.world.clock.advance(1)
    again = await upload(one, LINES, **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"})
    assert (again["id"], again["created_at"]) == (made["id"], made["created_at"])
    assert again["expires_at"] >= made["created_at"] + 3600
    assert stored_documents(one) == before + 1, "the second content is gone; the timer knows when the file expires"
    assert (await upload(one, LINES, name="b.txt"))["id"] != made["id"]
    strange = await one.http.post(
        "/v1/files", files={"file": ("a.txt", LINES)}, data=DATA, headers={"authorization": "Bearer strange"}
    )
    assert strange.json()["id"] != made["id"]


def stored_documents(one: Api) -> int:
    assert isinstance(one.world.store, MemoryStore)
    return sum(len(rows) for rows in one.world.store.partitions.values())


@pytest.mark.parametrize(
    ("asked", "status", "first", "end"),
    [
        ("bytes=0-9", 206, 0, 10),
        (f"bytes={PART_BYTES - 5}-{PART_BYTES + 4}", 206, PART_BYTES - 5, PART_BYTES + 5),
        (f"bytes={len(LINES) - 3}-", 206, len(LINES) - 3, len(LINES)),
        ("bytes=-7", 206, len(LINES) - 7, len(LINES)),
        (f"bytes=10-{len(LINES) * 2}", 206, 10, len(LINES)),
        (f"bytes=-{len(LINES) * 2}", 206, 0, len(LINES)),
        ("bytes=5-4", 200, 0, len(LINES)),
        ("bytes=-", 200, 0, len(LINES)),
        ("lines=0-4", 200, 0, len(LINES)),
        ("bytes=0-1,4-5", 200, 0, len(LINES)),
    ],
)
async def test_a_range_of_the_content_is_returned(asked: str, status: int, first: int, end: int) -> None:
    one = api()
    made = await upload(one, LINES)
    answer = await one.http.get(f"/v1/files/{made['id']}/content", headers={"range": asked})
    assert (answer.status_code, answer.content) == (status, LINES[first:end])
    expected = f"bytes {first}-{end - 1}/{len(LINES)}" if status == 206 else None
    assert answer.headers.get("content-range") == expected


@pytest.mark.parametrize("asked", [f"bytes={len(LINES)}-", "bytes=-0"])
async def test_a_range_behind_the_content_is_refused(asked: str) -> None:
    one = api()
    made = await upload(one, LINES)
    answer = await one.http.get(f"/v1/files/{made['id']}/content", headers={"range": asked})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(LINES)}")


async def test_known_content_is_not_sent_again_and_a_browser_only_saves_it() -> None:
    one = api()
    path = f"/v1/files/{(await upload(one, b'<script>', name='é";.html'))['id']}/content"
    answer = await one.http.get(path)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == 'attachment; filename="_%22;.html"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    tag = answer.headers["etag"]
    assert (await one.http.get(path, headers={"if-none-match": tag})).status_code == 304
    assert (await one.http.get(path, headers={"range": "bytes=0-0", "if-range": tag})).content == b"<"
    assert (await one.http.get(path, headers={"range": "bytes=0-0", "if-range": '"b"'})).status_code == 200


def form(*parts: str, boundary: str = "B", end: str = "--B--\r\n") -> bytes:
    return "".join(f"--{boundary}\r\n{part}\r\n" for part in parts).encode() + end.encode()


PURPOSE = 'Content-Disposition: form-data; name="purpose"\r\n\r\nuser_data'
CONTENT = 'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello'
NAMED = 'Content-Disposition: form-data; name="file"; filename="{name}"\r\n\r\nhello'
FIELD = 'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'


def lasting(seconds: str) -> bytes:
    anchor = FIELD.format(name="expires_after[anchor]", value="created_at")
    return form(CONTENT, PURPOSE, anchor, FIELD.format(name="expires_after[seconds]", value=seconds))


WRONG: Mapping[str, tuple[bytes, str | None, str]] = {
    "no purpose": (form(CONTENT), "purpose", "missing_required_parameter"),
    "an unknown purpose": (form(CONTENT, PURPOSE.replace("user_data", "vision")), "purpose", "invalid_value"),
    "no file": (form(PURPOSE), "file", "missing_required_parameter"),
    "a file without a name": (form(PURPOSE, FIELD.format(name="file", value="x")), "file", "invalid_value"),
    "an empty name": (form(PURPOSE, NAMED.format(name="")), "file", "invalid_value"),
    "a path": (form(PURPOSE, NAMED.format(name="../a")), "file", "invalid_value"),
    "a Windows path": (form(PURPOSE, NAMED.format(name="a\\b")), "file", "invalid_value"),
    "a control character": (form(PURPOSE, NAMED.format(name="a\x00b")), "file", "invalid_value"),
    "a long name": (form(PURPOSE, NAMED.format(name="a" * 257)), "file", "invalid_value"),
    "two files": (form(PURPOSE, CONTENT, CONTENT), None, "invalid_multipart"),
    "a part without a name": (form(PURPOSE, "Content-Type: text/plain\r\n\r\nx"), None, "invalid_multipart"),
    "no last boundary": (form(PURPOSE, CONTENT, end=""), None, "invalid_multipart"),
    "no boundary": (b"hello", None, "invalid_multipart"),
    "nothing": (b"", None, "invalid_multipart"),
    "a name in another coding": (form(PURPOSE, CONTENT).replace(b"a.txt", b"\xff"), None, "invalid_multipart"),
    "a long field": (form(CONTENT, FIELD.format(name="x", value="y" * (FIELD_BYTES + 1))), "x", "invalid_value"),
    "a field twice": (form(PURPOSE, CONTENT, PURPOSE), "purpose", "invalid_value"),
    "an unknown field twice": (form(PURPOSE, CONTENT, *[FIELD.format(name="x", value="")] * 2), "x", "invalid_value"),
    "many fields": (
        form(*(FIELD.format(name=f"f{each}", value="y") for each in range(FIELDS_LIMIT + 1))),
        None,
        "invalid_multipart",
    ),
    "a short life": (lasting("60"), "expires_after.seconds", "invalid_value"),
    "a life without end": (lasting("00003600" + "9" * 400), "expires_after.seconds", "invalid_value"),
    "an unknown anchor": (
        form(CONTENT, PURPOSE, FIELD.format(name="expires_after[seconds]", value="3600")),
        "expires_after.anchor",
        "invalid_value",
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_form_is_refused_and_leaves_nothing(name: str) -> None:
    one = api()
    body, param, code = WRONG[name]
    answer = await one.http.post("/v1/files", content=body, headers={"content-type": "multipart/form-data; boundary=B"})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code), error
    assert await content_documents(one) == 0


async def test_fields_of_a_form_that_are_not_known_are_named_as_those_of_json() -> None:
    one = api()
    headers = {"content-type": "multipart/form-data; boundary=B"}
    for names, ignored in (((), None), (("x",), "x"), (("y", "expires_after[on]", "x"), "x, y, and 1 more")):
        body = form(PURPOSE, CONTENT, *[FIELD.format(name=name, value="1") for name in names])
        answer = await one.http.post("/v1/files", content=body, headers=headers)
        assert (answer.status_code, answer.headers.get("x-ganglion-ignored")) == (200, ignored)
    lasts = await one.http.post("/v1/files", content=lasting("3600"), headers=headers)
    assert (lasts.status_code, "x-ganglion-ignored" in lasts.headers) == (200, False)


async def content_documents(one: Api) -> int:
    """Return how many documents belong to files, their lists and uploads, and do not go by themselves."""
    assert isinstance(one.world.store, MemoryStore)
    rows = [row for rows in one.world.store.partitions.values() for row in rows.values() if row.expires_at is None]
    kinds = [row.document.body["kind"] for row in rows]
    return sum(kind in {"file", "file_part", "listed_file", "expiry", "thread"} for kind in kinds)


async def pieces(content: bytes, *, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize("declared", [True, False])
async def test_a_file_above_the_limit_is_refused_and_leaves_nothing(*, declared: bool) -> None:
    one = api()
    limit = one.world.settings.file_limit
    body = form(PURPOSE, CONTENT.replace("hello", "x" * (limit + 70_000)))
    sent: Any = body if declared else pieces(body, size=500_000)
    answer = await one.http.post("/v1/files", content=sent, headers={"content-type": "multipart/form-data; boundary=B"})
    assert answer.status_code == 413
    assert "GANGLION_FILE_LIMIT" in answer.json()["error"]["message"]
    assert await content_documents(one) == 0


@pytest.mark.parametrize("declared", [True, False])
async def test_a_file_above_the_limit_goes_to_the_blob_storage(*, declared: bool) -> None:
    blobs = MemoryContents()
    one = api(file_limit=1000, large_files=blobs)
    content = "0123456789" * 500
    body = form(PURPOSE, CONTENT.replace("hello", content))
    sent: Any = body if declared else pieces(body, size=700)
    answer = await one.http.post("/v1/files", content=sent, headers={"content-type": "multipart/form-data; boundary=B"})
    assert (answer.status_code, answer.json()["bytes"]) == (200, 5000)
    assert list(blobs.whole.values()) == [content.encode()]
    path = f"/v1/files/{answer.json()['id']}"
    part = await one.http.get(f"{path}/content", headers={"range": "bytes=4090-4105"})
    assert (part.status_code, part.text) == (206, content[4090:4106])
    assert (await one.http.delete(path)).status_code == 200
    assert (blobs.whole, await content_documents(one)) == ({}, 0)


async def test_what_is_wrong_with_a_form_is_said_also_where_nothing_can_be_deleted_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blobs = MemoryContents()

    async def down(_key: object) -> None:
        raise Unavailable("The blob storage of files did not answer.")

    one = api(file_limit=1000, large_files=blobs)
    body = form(PURPOSE, CONTENT.replace("hello", "x" * 20_000))[:-5]
    headers = {"content-type": "multipart/form-data; boundary=B"}
    with monkeypatch.context() as patch:
        patch.setattr(blobs, "delete", down)
        answer = await one.http.post("/v1/files", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_multipart")
    one.world.clock.advance(ABANDONED_S + 1)
    await one.world.app.state.retention.clear_due()
    assert (blobs.whole, blobs.blocks) == ({}, {})


async def test_a_content_that_cannot_be_read_is_an_error_and_no_broken_answer() -> None:
    blobs = MemoryContents()
    one = api(file_limit=1000, large_files=blobs)
    made = await upload(one, b"0123456789" * 500)
    path = f"/v1/files/{made['id']}/content"
    blobs.whole.clear()
    answer = await one.http.get(path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "server_error")
    assert "deleted while it was read" in answer.json()["error"]["message"]
    tag = {"if-none-match": f'"{await digest_of(one, made["id"])}"'}
    assert (await one.http.get(path, headers=tag)).status_code == 304


async def digest_of(one: Api, identifier: str) -> str:
    return (await one.world.app.state.files.read(OWNER, identifier)).digest[:32]


async def test_a_small_file_stays_in_the_store_beside_a_blob_storage() -> None:
    blobs = MemoryContents()
    one = api(large_files=blobs)
    await upload(one)
    assert (blobs.whole, blobs.blocks) == ({}, {})


async def test_a_broken_form_leaves_no_block() -> None:
    blobs = MemoryContents()
    one = api(file_limit=1000, large_files=blobs)
    body = form(PURPOSE, CONTENT.replace("hello", "x" * 20_000))[:-5]
    answer = await one.http.post("/v1/files", content=body, headers={"content-type": "multipart/form-data; boundary=B"})
    assert (answer.status_code, blobs.whole, blobs.blocks) == (400, {}, {})
    assert await content_documents(one) == 0


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_a_form_may_arrive_in_any_pieces_and_order(size: int) -> None:
    one = api()
    content = "--B\r\n--B-\r\n\r\n--\r" * 20
    body = form(CONTENT.replace("hello", content.replace("--B", "--C")), PURPOSE)
    headers = {"content-type": "multipart/form-data; boundary=B"}
    made = (await one.http.post("/v1/files", content=pieces(body, size=size), headers=headers)).json()
    answer = await one.http.get(f"/v1/files/{made['id']}/content")
    assert answer.text == content.replace("--B", "--C")


async def test_a_packed_form_is_unpacked_up_to_the_limit() -> None:
    one = api()
    headers = {"content-type": "multipart/form-data; boundary=B", "content-encoding": "gzip"}
    body = gzip.compress(form(PURPOSE, CONTENT.replace("hello", "x" * 600_000)))
    assert (await one.http.post("/v1/files", content=body, headers=headers)).json()["bytes"] == 600_000
    bomb = gzip.compress(form(PURPOSE, CONTENT.replace("hello", "x" * (one.world.settings.file_limit + 70_000))))
    assert (await one.http.post("/v1/files", content=bomb, headers=headers)).status_code == 413


async def test_a_file_ends_by_itself() -> None:
    one = api()
    made = await upload(one, LINES, **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"})
    assert await one.world.app.state.retention.clear_due() == 0
    one.world.clock.advance(3601)
    assert (await one.http.get(f"/v1/files/{made['id']}")).status_code == 404
    assert await names(one) == []
    await one.world.app.state.retention.clear_due()
    assert await content_documents(one) == 0


async def test_an_erased_owner_has_no_file() -> None:
    one = api()
    await upload(one, LINES)
    one.world.clock.advance(1)
    await one.http.delete("/v1/owners/me")
    one.world.clock.advance(1000)
    await one.world.app.state.retention.clear_due()
    assert await content_documents(one) == 0


async def asked(one: Api, identifier: str, *, chat: bool) -> httpx.Response:
    if chat:
        part: Any = {"type": "file", "file": {"file_id": identifier}}
        body = {"model": "auto", "messages": [{"role": "user", "content": [part, {"type": "text", "text": "why?"}]}]}
        return await one.http.post("/v1/chat/completions", json=body)
    part = {"type": "input_file", "file_id": identifier}
    content = [part, {"type": "input_text", "text": "why?"}]
    return await one.create({"model": "auto", "input": [{"role": "user", "content": content}]})


@pytest.mark.parametrize("chat", [True, False])
async def test_a_model_reads_a_file_that_the_input_names(*, chat: bool) -> None:
    fake = FakeBackend(says("yes"))
    one = api(fake)
    made = await upload(one, b"the sky is blue", name="sky.txt")
    assert (await asked(one, made["id"], chat=chat)).status_code == 200
    assert fake.calls[0].items[-1].text == '\n<file name="sky.txt">\nthe sky is blue\n</file>\nwhy?'


@pytest.mark.parametrize("chat", [True, False])
async def test_a_file_that_cannot_be_read_is_named(*, chat: bool) -> None:
    one = api()
    batch = await upload(one, b"{}", purpose="batch")
    binary = await upload(one, b"\x00\x01", name="b.bin")
    path = "messages[0].content[0].file" if chat else "input[0].content[0]"
    for identifier, status, param in (
        ("file-0", 404, f"{path}.file_id"),
        (batch["id"], 400, f"{path}.file_id"),
        (binary["id"], 400, f"{path}.file_data"),
    ):
        answer = await asked(one, identifier, chat=chat)
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), json.dumps(answer.json())


async def test_files_of_one_input_have_a_limit_together() -> None:
    one = api()
    made = await upload(one, b"x" * 6_000_000)
    part = {"type": "input_file", "file_id": made["id"]}
    answer = await one.create({"model": "auto", "input": [{"role": "user", "content": [part] * 3}]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (413, "input[0].content[2].file_id")


async def test_one_owner_has_a_limited_number_of_files_and_bytes() -> None:
    one = api(owner_files=2, owner_file_bytes=20)
    first = await upload(one, b"0123456789", name="a")
    for content, name in ((b"x" * 11, "large"), (b"x" * 10, "b")):
        answer = await one.http.post("/v1/files", files={"file": (name, content)}, data=DATA)
        assert answer.status_code == (400 if name == "large" else 200), answer.text
    more = await one.http.post("/v1/files", files={"file": ("c", b"")}, data=DATA)
    assert (more.status_code, more.json()["error"]["code"]) == (400, "file_allowance_exceeded")
    await one.http.delete(f"/v1/files/{first['id']}")
    await upload(one, b"0123456789", name="c")


async def test_a_download_takes_a_token_of_the_rate_limits() -> None:
    few = RateLimit(per_minute=1, burst=3, running=1)
    one = api(limits=RateLimits(owner=few, tenant=few))
    made = await upload(one)
    path = f"/v1/files/{made['id']}/content"
    statuses = [(await one.http.get(path)).status_code for _ in range(3)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
