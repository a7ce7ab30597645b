"""What do all requests to the management API share?"""

import json
from collections.abc import Awaitable, Callable

from aiohttp import web

type Handler = Callable[[web.Request], Awaitable[web.Response]]


class RequestRejectedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def error_response(status: int, message: str, reason: str | None = None) -> web.Response:
    """Clients of the SDK read ExceptionMessage, people read Message."""
    return web.json_response({"Message": message, "ExceptionMessage": reason or message}, status=status)


async def json_body(request: web.Request) -> str | None:
    """The body as JSON text, None when it is empty."""
    text = (await request.read()).decode("utf-8", "replace")
    if not text:
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        raise RequestRejectedError(400, "Invalid JSON content") from None
    return text
