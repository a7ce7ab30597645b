"""Does each address open to its keys, wherever they are sent?"""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from devhost.http.authorization import KeyAuthorization
from devhost.http.keys import AuthLevel, HostKeys
from tests.fakes.servers.web_servers import served

KEYS = HostKeys(master="m", host="h", durable="d", functions={"page": "p"})
LEVELS = {"/admin": AuthLevel.ADMIN, "/runtime": AuthLevel.SYSTEM}


def application(*, enforced: bool) -> web.Application:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response()

    found = web.Application()
    KeyAuthorization(KEYS, enforced=enforced, levels=LEVELS).add_to(found)
    for path in ("/admin/host/status", "/admin/host/ping", "/runtime/{word:(?i:instances)}", "/api/page"):
        found.router.add_get(path, answer)
    return found


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with served(application(enforced=True)) as url, aiohttp.ClientSession(url) as session:
        yield session


async def status(http: aiohttp.ClientSession, path: str, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.get(path, headers=named) as answer:
        return answer.status


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/admin/host/status", 401),
        ("/admin/host/status?code=m", 200),
        ("/admin/host/status?code=h", 401),
        ("/admin/host/status?code=d", 401),
        ("/admin/host/ping", 200),
        ("/runtime/instances", 401),
        ("/runtime/INSTANCES?code=d", 200),
        ("/runtime/instances?code=m", 200),
        ("/runtime/instances?code=", 401),
        ("/api/page", 200),
        ("/nowhere", 404),
    ],
)
async def test_each_level_opens_to_its_keys(http: aiohttp.ClientSession, path: str, code: int) -> None:
    assert await status(http, path) == code


async def test_a_key_in_the_header_wins_over_one_in_the_address(http: aiohttp.ClientSession) -> None:
    assert await status(http, "/runtime/instances", x_functions_key="d") == 200
    assert await status(http, "/runtime/instances?code=d", x_functions_key="wrong") == 401


async def test_where_keys_are_not_enforced_none_is_required() -> None:
    async with served(application(enforced=False)) as url, aiohttp.ClientSession(url) as session:
        assert await status(session, "/admin/host/status") == 200
