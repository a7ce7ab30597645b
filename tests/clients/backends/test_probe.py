"""Does a probe call a server up only for an answer that proves it?"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
from aiohttp import web

from clients.backends.http_backend import HttpBackend
from clients.backends.port import BackendError
from domain.fleet.failure_classes import FailureKind
from tests.clients.backends.model_server import backend_at
from tests.fakes.backends import http_backend
from tests.fakes.servers.web_servers import served

GOOGLE = {"server": "Google Frontend", "content-type": "text/plain"}


@asynccontextmanager
async def server_answering(status: int, body: str = "", **headers: str) -> AsyncGenerator[HttpBackend]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers=headers)

    application = web.Application()
    application.router.add_get("/v1/models", answer)
    async with served(application) as url, httpx.AsyncClient(trust_env=False) as http:
        yield http_backend(backend_at(f"{url}/v1"), http, silence_s=5)


async def test_a_server_that_lists_its_models_is_up() -> None:
    async with server_answering(200, "{}") as backend:
        await backend.probe()


@pytest.mark.parametrize("status", [401, 403, 404, 405, 429, 500, 503, 504])
async def test_any_other_answer_is_reported_as_it_was_observed(status: int) -> None:
    async with server_answering(status, "Rate exceeded.", **GOOGLE) as backend:
        with pytest.raises(BackendError) as caught:
            await backend.probe()
    failure = caught.value.failure
    assert (failure.kind, failure.status, failure.body) == (FailureKind.STATUS, status, "Rate exceeded.")


async def test_a_port_without_a_listener_is_refused() -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(BackendError) as caught:
            await http_backend(backend_at("http://127.0.0.1:1/v1"), http, silence_s=5).probe()
    assert caught.value.failure.kind is FailureKind.REFUSED
