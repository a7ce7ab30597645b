"""How do the endpoints read JSON bodies and report errors?"""

import json
from collections.abc import Awaitable, Callable

from aiohttp import web

type Handler = Callable[[web.Request], Awaitable[web.Response]]


class RequestRejectedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def error_response(status: int, message: str, reason: str | None = None) -> web.Response:
    """SDK clients read ExceptionMessage; people read Message."""
    return web.json_response({"Message": message, "ExceptionMessage": reason or message}, status=status)


async def json_body(request: web.Request) -> str | None:
    """Returns the body as JSON text, or None if it is empty."""
    text = (await request.read()).decode("utf-8", "replace")
    if not text:
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        raise RequestRejectedError(400, "Invalid JSON content") from None
    return text
