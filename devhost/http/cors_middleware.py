"""How are browsers of other origins answered?"""

from typing import Any

from aiohttp import web

from devhost.http.cors_policy import Cors


def is_preflight(request: web.Request) -> bool:
    return request.method == "OPTIONS" and {"Origin", "Access-Control-Request-Method"} <= set(request.headers)


def apply(cors: Cors, application: web.Application) -> None:
    """Answers what browsers ask beforehand, and marks every other answer, streams too."""
    if not cors.origins:
        return

    @web.middleware
    async def preflight(request: web.Request, handler: Any) -> web.StreamResponse:
        if is_preflight(request):
            return web.Response(status=204, headers=cors.preflight(request.headers))
        return await handler(request)

    async def mark(request: web.Request, response: web.StreamResponse) -> None:
        for name, value in cors.headers(request.headers.get("Origin")).items():
            response.headers.setdefault(name, value)

    application.middlewares.append(preflight)
    application.on_response_prepare.append(mark)
