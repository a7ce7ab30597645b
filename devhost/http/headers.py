"""Which headers of host.json are added to every response?"""

from collections.abc import Mapping

from aiohttp import web


def add_custom_headers(headers: Mapping[str, str], application: web.Application) -> None:
    """Keeps headers that the app has set itself."""

    async def mark(request: web.Request, response: web.StreamResponse) -> None:  # noqa: ARG001 - the shape of a signal
        for name, value in headers.items():
            response.headers.setdefault(name, str(value))

    if headers:
        application.on_response_prepare.append(mark)
