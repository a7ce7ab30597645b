"""Which headers does every response get, and which one does none have?"""

from collections.abc import Mapping

from aiohttp import web


def add_custom_headers(headers: Mapping[str, str], application: web.Application) -> None:
    """Keeps headers that the app has set itself. No response names its server: neither this host nor the app's own."""

    async def mark(request: web.Request, response: web.StreamResponse) -> None:  # noqa: ARG001 - the shape of a signal
        for name, value in headers.items():
            response.headers.setdefault(name, str(value))
        if "Server" not in headers:
            response.headers.popall("Server", None)

    application.on_response_prepare.append(mark)
