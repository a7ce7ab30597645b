"""Does no answer of another service take more memory than its bound?"""

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import Final

import httpx
import pytest
from aiohttp import web

from clients.backends.credentials import BearerToken
from clients.backends.port import BackendError
from clients.identity.aws import RoleSessions
from clients.identity.entra import ManagedIdentity
from clients.identity.google import GoogleTokens
from clients.plain_answers import LongAnswerError, PackedAnswerError, read_plain, read_plain_now
from domain.fleet.failure_classes import FailureKind
from domain.identity.federation import AwsFederation, Federation
from tests.clients.backends.model_server import all_pieces, backend_at, call
from tests.fakes.backends import http_backend
from tests.fakes.servers.web_servers import handled_by, served

UNPACKED: Final = 100_000_000
LONG: Final = b" " * 50_000
MOST_MEMORY: Final = 8_000_000


@pytest.fixture(scope="module", autouse=True)
def bomb_is_built() -> None:
    """Build it before memory is measured, and not when the tests are collected."""
    bomb()


@cache
def bomb() -> bytes:
    return gzip.compress(bytes(UNPACKED), compresslevel=1)


async def endless() -> AsyncGenerator[bytes]:
    for _ in range(1000):
        yield LONG


type Answer = Callable[[], web.Response]

ANSWERS: dict[str, Answer] = {
    "packed": lambda: web.Response(
        body=bomb(), headers={"content-encoding": "gzip", "content-type": "application/json"}
    ),
    "packed error": lambda: web.Response(status=400, body=bomb(), headers={"content-encoding": "gzip"}),
    "packed events": lambda: web.Response(
        body=bomb(), headers={"content-encoding": "gzip", "content-type": "text/event-stream"}
    ),
    "endless": lambda: web.Response(body=endless(), content_type="application/json"),
}


class Identity(ManagedIdentity):
    """An identity whose token is always there."""

    def token(self, scope: str) -> BearerToken:
        return BearerToken(token=scope, expires_at=2e9)


@asynccontextmanager
async def answering(answer: Answer, asked: list[str]) -> AsyncGenerator[str]:
    """Answer every request in the same way, and note which encodings each allows."""

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.headers.get("accept-encoding", ""))
        return answer()

    async with served(handled_by(handle)) as url:
        yield url


@contextmanager
def little_memory() -> Generator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY


async def google(url: str) -> None:
    federation = Federation(provider="p", scope="s", service_account="a@b", sts_url=url, iam_url=url)
    tokens = GoogleTokens(federation, Identity())
    await asyncio.to_thread(tokens.id_token, "audience", "a@b")


async def aws(url: str) -> None:
    sessions = RoleSessions(AwsFederation(role="r", scope="s", sts_url=url), Identity())
    await asyncio.to_thread(sessions.assume, "r", "eu-west-1")


async def model(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        await all_pieces(http_backend(backend_at(f"{url}/v1"), http, silence_s=5), call())


CALLERS: dict[str, Callable[[str], Awaitable[None]]] = {"Google": google, "AWS": aws, "a backend": model}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
async def test_an_answer_is_refused_before_it_takes_memory(
    caller: Callable[[str], Awaitable[None]], answer: Answer
) -> None:
    asked: list[str] = []
    async with answering(answer, asked) as url:
        with little_memory(), pytest.raises(BackendError):
            await caller(url)
    assert set(asked) == {"identity"}


@pytest.mark.parametrize("name", ["packed", "packed error", "packed events"])
async def test_a_backend_that_packs_its_answer_is_told_so(name: str) -> None:
    async with answering(ANSWERS[name], []) as url:
        with pytest.raises(BackendError) as caught:
            await model(url)
    failure = caught.value.failure
    assert failure.kind is (FailureKind.STATUS if name == "packed error" else FailureKind.WRONG_CONTENT_TYPE)
    assert failure.body == "the answer is compressed (gzip), although the request forbids it"


async def test_an_answer_of_exactly_its_bound_is_read() -> None:
    async with answering(lambda: web.Response(body=json.dumps("x" * 98)), []) as url:
        async with httpx.AsyncClient() as http, http.stream("GET", url) as answer:
            assert len(await read_plain(answer, most=100)) == 100
        async with httpx.AsyncClient() as http, http.stream("GET", url) as answer:
            with pytest.raises(LongAnswerError):
                await read_plain(answer, most=99)


def test_a_blocking_client_reads_with_the_same_bounds() -> None:
    packed = httpx.Response(200, headers={"content-encoding": " GZIP "}, stream=httpx.ByteStream(bomb()))
    with pytest.raises(PackedAnswerError):
        read_plain_now(packed, most=100)
    with pytest.raises(LongAnswerError):
        read_plain_now(httpx.Response(200, stream=httpx.ByteStream(LONG)), most=100)
    plain = httpx.Response(200, headers={"content-encoding": "identity"}, stream=httpx.ByteStream(b"x" * 100))
    assert len(read_plain_now(plain, most=100)) == 100
