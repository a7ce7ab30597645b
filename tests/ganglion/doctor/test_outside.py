"""How much of an answer does the doctor read?"""

import gzip

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ganglion.doctor.outside import ANSWER_LIMIT, UnreachableError, request


async def endless(asked: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(asked)
    while True:
        await answer.write(b"x" * 2**16)


async def packed(_asked: web.Request) -> web.Response:
    return web.Response(body=gzip.compress(b"x" * 100), headers={"content-encoding": "gzip"})


async def short(asked: web.Request) -> web.Response:
    return web.Response(body=asked.headers["accept-encoding"].encode(), headers={"X-Name": "value"}, status=404)


@pytest.mark.parametrize(
    ("handler", "problem"), [(endless, f"longer than {ANSWER_LIMIT // 2**20} MiB"), (packed, "the answer is packed")]
)
async def test_an_answer_without_bounds_is_given_up(handler: object, problem: str) -> None:
    application = web.Application()
    application.router.add_get("/", handler)  # type: ignore[reportArgumentType] - one of the handlers above
    async with TestServer(application) as server:
        with pytest.raises(UnreachableError, match=problem):
            await request("GET", str(server.make_url("/")))


async def test_a_short_answer_is_read_whole_and_unpacked_by_nobody() -> None:
    application = web.Application()
    application.router.add_get("/", short)
    async with TestServer(application) as server:
        answer = await request("GET", str(server.make_url("/")))
    assert (answer.status, answer.body, answer.headers["x-name"]) == (404, b"identity", "value")
