"""How are CORS headers added to responses?"""

from typing import Any

from aiohttp import web

from devhost.http.cors_policy import CorsPolicy


def is_preflight(request: web.Request) -> bool:
    return request.method == "OPTIONS" and {"Origin", "Access-Control-Request-Method"} <= set(request.headers)


def add_cors(cors: CorsPolicy, application: web.Application) -> None:
    """Answers preflight requests and adds CORS headers to every other response, including streams."""
    if not cors.origins:
        return

    @web.middleware
    async def preflight(request: web.Request, handler: Any) -> web.StreamResponse:
        if is_preflight(request):
            return web.Response(status=204, headers=cors.preflight_headers(request.headers))
        return await handler(request)

    async def mark(request: web.Request, response: web.StreamResponse) -> None:
        for name, value in cors.response_headers(request.headers.get("Origin")).items():
            response.headers.setdefault(name, value)

    application.middlewares.append(preflight)
    application.on_response_prepare.append(mark)
