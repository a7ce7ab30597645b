"""Does a request carry a key that opens its URL?"""

from typing import Any

from aiohttp import web

from devhost.http.keys import AuthLevel, HostKeys

HEADER = "x-functions-key"
QUERY = "code"
PING = "/admin/host/ping"


class KeyAuthorization:
    """Requires keys only if `enforced`. Like the real host on a developer machine, the default requires none."""

    def __init__(self, keys: HostKeys, *, enforced: bool, levels: dict[str, AuthLevel]) -> None:
        """`levels` maps a URL prefix to the key level of every URL below it."""
        self.keys = keys
        self.enforced = enforced
        self.levels = levels

    def is_allowed(self, request: web.Request, level: AuthLevel, function: str = "") -> bool:
        key = request.headers.get(HEADER) or request.query.get(QUERY)
        return not self.enforced or self.keys.accepts(key, level, function)

    def level_of(self, request: web.Request) -> AuthLevel:
        """Uses the matched route, because one path can be written in several ways."""
        resource = request.match_info.route.resource
        place = "" if resource is None else resource.canonical
        found = (level for prefix, level in self.levels.items() if place.startswith(prefix) and place != PING)
        return next(found, AuthLevel.ANONYMOUS)

    def is_management(self, request: web.Request) -> bool:
        return self.level_of(request) is not AuthLevel.ANONYMOUS

    def add_to(self, application: web.Application) -> None:
        @web.middleware
        async def check(request: web.Request, handler: Any) -> web.StreamResponse:
            if not self.is_allowed(request, self.level_of(request)):
                return web.Response(status=401)
            return await handler(request)

        application.middlewares.append(check)
