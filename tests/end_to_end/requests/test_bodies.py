"""Is every body that is no request refused, with the field named, nothing stored and nothing started?"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from standins.clock import now
from standins.cluster.local_cluster import LocalCluster
from tests.end_to_end.callers import DURABLE, PINNED
from tests.end_to_end.conftest import Scene

MANY = 20 * 2**20
DEEP = 100_000
FREE, READ_AT_MOST = 65_536, 16 * 2**20
"""Bodies in between cost a token where they are wrong."""
ANSWERED_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back over the socket."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        found = json.loads(self.body)["error"]
        assert set(found) == {"message", "type", "param", "code"}
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request as bytes; `headers` stand beside Host, Connection and, where `framed`, Content-Length."""

    body: bytes
    headers: Mapping[str, str]
    path: str = "/v1/responses"
    method: str = "POST"
    framed: bool = True

    def head(self) -> bytes:
        length = {"Content-Length": str(len(self.body))} if self.framed else {}
        lines = {"Host": "127.0.0.1", "Connection": "close", **length, **self.headers}
        said = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{self.method} {self.path} HTTP/1.1\r\n{said}\r\n".encode()


async def answer_to(cluster: LocalCluster, sent: Sent) -> Answer:
    """Send over a socket of its own; a server that answers before it has read everything is read all the same."""
    address = urlsplit(cluster.base_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        async with asyncio.timeout(ANSWERED_S):
            sending = asyncio.ensure_future(send(writer, sent))
            answer = await read_answer(reader)
            sending.cancel()
    finally:
        writer.close()
    return answer


async def send(writer: asyncio.StreamWriter, sent: Sent) -> None:
    writer.write(sent.head() + sent.body)
    await writer.drain()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read one answer and no further: a server may keep the connection for what it has not read of the request."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = headers.get("content-length")
    body = await read_chunks(reader) if length is None else await reader.readexactly(int(length))
    return Answer(status=int(first.split(" ")[1]), headers=headers, body=body)


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    whole = b""
    while size := int(await reader.readline(), 16):
        whole += (await reader.readexactly(size + 2))[:size]
    return whole


def authorized(cluster: LocalCluster, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {cluster.token()}", "Content-Type": "application/json", **more}


async def traces(scene: Scene) -> tuple[int, int, int]:
    """Count what a request can leave behind: writes, orchestrations, calls of the model."""
    listed = await scene.caller.http.get(f"{DURABLE}/instances")
    asked = await scene.caller.http.get(f"{scene.cluster.model_url('scripted')}/admin/requests")
    return await scene.books.writes(), len(listed.json()), len(asked.json()["requests"])


def tokens_for(body: bytes) -> int:
    """Return the tokens of the rate limits that a wrong body costs: one where it is large and is read."""
    return int(FREE < len(body) <= READ_AT_MOST)


async def refused(scene: Scene, sent: Sent, *, tokens: int = 0) -> Answer:
    """Send, and assert that the answer is an error in the API's shape that left nothing behind but its tokens."""
    await scene.books.quiet(scene.caller)
    before = await traces(scene)
    answer = await answer_to(scene.cluster, sent)
    assert 400 <= answer.status < 500, answer
    assert answer.headers["x-request-id"]
    assert answer.error["type"] == "invalid_request_error"
    assert "Traceback" not in answer.error["message"]
    assert len(answer.error["message"]) < 1000
    await scene.caller.sweep()
    writes, *others = await traces(scene)
    assert (writes - tokens, *others) == before
    return answer


def member(text: str) -> bytes:
    return f'{{"model": "{PINNED}", {text}}}'.encode()


BODIES: Mapping[str, tuple[bytes, int, str | None, str]] = {
    "empty": (b"", 400, None, "invalid_json"),
    "white space": (b" \r\n\t ", 400, None, "invalid_json"),
    "not JSON": (b"model=scripted&input=hello", 400, None, "invalid_json"),
    "half": (b'{"model": "scripted", "inp', 400, None, "invalid_json"),
    "no object": (b'["model"]', 400, None, "invalid_json"),
    "null": (b"null", 400, None, "invalid_json"),
    "not UTF-8": (b'{"input": "\xff\xfe"}', 400, None, "invalid_json"),
    "two objects": (b"{} {}", 400, None, "invalid_json"),
    "large": (member(f'"input": "{"x" * MANY}"'), 413, None, "request_too_large"),
    "deep arrays": (b"[" * DEEP + b"]" * DEEP, 400, None, "invalid_json"),
    "deep objects": (b'{"a":' * DEEP + b"1" + b"}" * DEEP, 400, "a" + ".a" * 63, "invalid_value"),
    "deep input": (member(f'"input": {"[" * DEEP}{"]" * DEEP}'), 400, "input" + "[0]" * 63, "invalid_value"),
    "rather deep input": (member(f'"input": {"[" * 200}{"]" * 200}'), 400, "input" + "[0]" * 63, "invalid_value"),
    "many digits": (member(f'"input": "x", "max_output_tokens": {"9" * 5000}'), 400, None, "invalid_json"),
    "NaN": (member('"input": "x", "temperature": NaN'), 400, "temperature", "invalid_value"),
    "Infinity": (member('"input": "x", "metadata": {"a": [-Infinity]}'), 400, "metadata.a[0]", "invalid_value"),
    "beyond a double": (member('"input": "x", "top_p": 1e999'), 400, "top_p", "invalid_value"),
    "a name twice": (member('"input": "x", "input": "y"'), 400, "input", "invalid_value"),
    "a name twice inside": (
        member('"input": [{"role": "user", "role": "system"}]'),
        400,
        "input[0].role",
        "invalid_value",
    ),
    "__class__": (member('"input": "x", "__class__": "os"'), 400, "__class__", "invalid_value"),
    "__module__ inside": (
        member('"input": "x", "metadata": {"a": {"__module__": "os"}}'),
        400,
        "metadata.a.__module__",
        "invalid_value",
    ),
    "half a surrogate": (member('"input": "\\ud800"'), 400, "input", "invalid_value"),
    "input a number": (member('"input": 5'), 400, "input", "invalid_type"),
    "input empty": (member('"input": []'), 400, "input", "invalid_value"),
    "model a list": (b'{"model": [], "input": "x"}', 400, "model", "invalid_type"),
    "stream a string": (member('"input": "x", "stream": "yes"'), 400, "stream", "invalid_type"),
    "background a number": (member('"input": "x", "background": 1'), 400, "background", "invalid_type"),
    "metadata a list": (member('"input": "x", "metadata": []'), 400, "metadata", "invalid_type"),
    "metadata of numbers": (member('"input": "x", "metadata": {"a": 1}'), 400, "metadata.a", "invalid_type"),
    "a strange role": (member('"input": [{"role": "root", "content": "x"}]'), 400, "input[0].role", "invalid_value"),
    "an image": (
        member('"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]'),
        400,
        "input[0].content[0].image_url",
        "invalid_value",
    ),
    "no tokens at all": (member('"input": "x", "max_output_tokens": 0'), 400, "max_output_tokens", "invalid_value"),
    "a deadline in words": (
        member('"input": "x", "metadata": {"deadline_ms": "soon"}'),
        400,
        "metadata.deadline_ms",
        "invalid_value",
    ),
    "a conversation by number": (member('"input": "x", "conversation": 1'), 400, "conversation", "invalid_type"),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_no_request_is_refused_and_leaves_nothing(scene: Scene, name: str) -> None:
    body, status, field, code = BODIES[name]
    answer = await refused(scene, Sent(body=body, headers=authorized(scene.cluster)), tokens=tokens_for(body))
    assert (answer.status, answer.error["param"], answer.error["code"]) == (status, field, code)


async def test_a_body_with_a_large_content_length_is_rejected_after_its_first_byte(scene: Scene) -> None:
    headers = authorized(scene.cluster, **{"Content-Length": str(MANY)})
    answer = await refused(scene, Sent(body=b"{", headers=headers, framed=False))
    assert answer.status == 413


async def test_a_large_body_in_chunks_is_rejected_as_soon_as_it_is_too_large(scene: Scene) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    headers = authorized(scene.cluster, **{"Transfer-Encoding": "chunked"})
    answer = await refused(scene, Sent(body=chunk * 320 + b"0\r\n\r\n", headers=headers, framed=False), tokens=1)
    assert answer.status == 413


HEADERS: Mapping[str, Mapping[str, str]] = {
    "none": {},
    "no token": {"Authorization": "Bearer "},
    "another scheme": {"Authorization": "Basic YWxpY2U6c2VjcmV0"},
    "a key of the other kind": {"x-functions-key": "anything", "api-key": "anything"},
    "no token but words": {"Authorization": "Bearer let me in"},
}


@pytest.mark.parametrize("name", HEADERS)
async def test_a_request_without_a_token_is_rejected_before_its_body_is_read(scene: Scene, name: str) -> None:
    answer = await refused(scene, Sent(body=member('"input": "COUNT 1"'), headers=HEADERS[name]))
    assert answer.status == 401
    assert answer.error["code"] == "invalid_api_key"
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("claim", ["aud", "iss", "tid", "exp", "oid"])
async def test_a_token_that_lacks_a_claim_is_rejected(scene: Scene, claim: str) -> None:
    token = scene.cluster.issuer.user_token(now=now(), claims={claim: None})
    answer = await refused(scene, Sent(body=member('"input": "x"'), headers={"Authorization": f"Bearer {token}"}))
    assert answer.status == 401
    assert answer.error["code"] == "invalid_api_key"
    assert token not in answer.error["message"]


async def test_a_token_that_lacks_the_permission_is_forbidden(scene: Scene) -> None:
    token = scene.cluster.issuer.user_token(now=now(), claims={"scp": "profile"})
    answer = await refused(scene, Sent(body=member('"input": "x"'), headers={"Authorization": f"Bearer {token}"}))
    assert answer.status == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/responses", 405),
        ("PUT", "/v1/responses", 405),
        ("DELETE", "/v1/models", 405),
        ("POST", "/v1/unheard", 404),
        ("POST", "/", 404),
        ("GET", "/v1/responses/..%2f..%2fhost.json", 404),
        ("GET", "/v1/responses/%00", 404),
        ("GET", "/v1/responses/resp_1?stream=perhaps", 400),
        ("GET", "/v1/responses/resp_1?stream=true&starting_after=-1", 400),
        ("GET", "/v1/responses/resp_1?stream=true&starting_after=%D9%A1", 400),
    ],
)
async def test_an_unknown_path_is_rejected_in_the_same_shape(scene: Scene, method: str, path: str, status: int) -> None:
    answer = await refused(scene, Sent(body=b"", headers=authorized(scene.cluster), method=method, path=path))
    assert answer.status == status
