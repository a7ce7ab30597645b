"""How is a request forwarded to its instance, and the answer to the caller?"""

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
    """The connection to the caller; after it closes, the instance continues and its answer is discarded."""

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
        """Closes the connection in the middle of the answer."""
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
    client: aiohttp.ClientSession, caller: CallerConnection, body: bytes, port: int
) -> web.StreamResponse:
    """Forwards the request and its answer; when the instance dies, the answer breaks off there."""
    request = caller.request
    url = f"http://{HOST}:{port}{request.raw_path}"
    headers = without_headers(request.headers, DROPPED_FROM_REQUEST)
    try:
        async with client.request(request.method, url, headers=headers, data=body) as answer:
            await caller.begin(answer.status, without_headers(answer.headers, DROPPED_FROM_ANSWER))
            async for data in answer.content.iter_any():
                await caller.write(data)
    except ClientConnectionResetError:
        caller.is_open = False
    except aiohttp.ClientError:
        if caller.response is None:
            return error_response(UNAVAILABLE, request.path)
        caller.abort()
    return caller.response if caller.response is not None else web.Response()


async def finished_within(task: asyncio.Task[web.StreamResponse], seconds: float) -> bool:
    done, _ = await asyncio.wait({task}, timeout=max(0.0, seconds))
    return bool(done)
