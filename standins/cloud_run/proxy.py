"""How does a request reach its instance, and the answer its caller?"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import ClientConnectionResetError, web
from multidict import CIMultiDict

from standins.cloud_run.error_pages import UNAVAILABLE, error_response, from_front_end
from standins.processes.http_server import HOST

CONNECTION_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"})
DROPPED_FROM_REQUEST = CONNECTION_HEADERS | {"host", "content-length", "authorization", "x-serverless-authorization"}
DROPPED_FROM_ANSWER = CONNECTION_HEADERS | {"server", "date"}


@dataclass(slots=True, kw_only=True)
class CallerConnection:
    """The caller's side; once it is shut, the instance goes on and nobody reads its answer."""

    request: web.Request
    response: web.StreamResponse | None = None
    is_open: bool = True

    async def begin(self, status: int, headers: CIMultiDict[str]) -> None:
        if self.is_open:
            self.response = from_front_end(web.StreamResponse(status=status, headers=headers))
            await self.response.prepare(self.request)

    async def write(self, data: bytes) -> None:
        if self.is_open and self.response is not None:
            await self.response.write(data)

    def abort(self) -> None:
        """Ends the connection in the middle of the answer."""
        self.is_open = False
        if self.request.transport is not None:
            self.request.transport.abort()


def without_headers(headers: Mapping[str, str], dropped: frozenset[str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


def new_client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    )


async def forward(
    client: aiohttp.ClientSession, outlet: CallerConnection, body: bytes, port: int
) -> web.StreamResponse:
    """Passes the request on and its answer back; an instance that dies breaks the answer where it is."""
    request = outlet.request
    url = f"http://{HOST}:{port}{request.raw_path}"
    headers = without_headers(request.headers, DROPPED_FROM_REQUEST)
    try:
        async with client.request(request.method, url, headers=headers, data=body) as answer:
            await outlet.begin(answer.status, without_headers(answer.headers, DROPPED_FROM_ANSWER))
            async for data in answer.content.iter_any():
                await outlet.write(data)
    except ClientConnectionResetError:
        outlet.is_open = False
    except aiohttp.ClientError:
        if outlet.response is None:
            return error_response(UNAVAILABLE, request.path)
        outlet.abort()
    return outlet.response if outlet.response is not None else web.Response()


async def finished_within(task: asyncio.Task[web.StreamResponse], seconds: float) -> bool:
    done, _ = await asyncio.wait({task}, timeout=max(0.0, seconds))
    return bool(done)
