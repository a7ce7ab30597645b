"""Does a management request come from this machine, or from a web page of another origin?

A browser sends a page's requests to loopback addresses too: by its script, with a foreign Origin, or by a name that the
page's owner points to 127.0.0.1 (DNS rebinding), with a foreign Host.
"""

from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from devhost.http.cors_policy import CorsPolicy

LOOPBACK_NAMES = frozenset({"127.0.0.1", "::1", "localhost"})


def host_name(authority: str) -> str:
    """The name of `host:port` in lower case; empty if it is invalid."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


class ForeignRequests:
    """`allowed` are further names of this host, such as that of a tunnel. `cors` allows the origins of other pages."""

    def __init__(self, *, allowed: Collection[str] = (), cors: CorsPolicy | None = None) -> None:
        self.names = LOOPBACK_NAMES | {name.lower() for name in allowed}
        self.cors = cors or CorsPolicy()

    def rejection(self, host: str | None, origin: str | None) -> str | None:
        """Why a request with these headers is refused, or None. No browser omits Host."""
        if host is not None and host_name(host) not in self.names:
            return f"The Host header '{host}' is not a name of this machine. Start the host with --allow-host NAME."
        if origin is None or self.cors.allows(origin) or origin.partition("://")[2] == host:
            return None
        return f"The origin '{origin}' is not allowed. Add it to Host.CORS in local.settings.json."

    def add_to(self, application: web.Application, applies: Callable[[web.Request], bool]) -> None:
        """Refuses foreign requests to the routes to which the check applies."""

        @web.middleware
        async def check(request: web.Request, handler: Any) -> web.StreamResponse:
            headers = request.headers
            reason = self.rejection(headers.get("Host"), headers.get("Origin")) if applies(request) else None
            return await handler(request) if reason is None else web.Response(status=403, text=reason)

        application.middlewares.append(check)
