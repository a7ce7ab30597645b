"""Are the built-in pages of the worker's web framework removed?"""

import httpx
from azurefunctions.extensions.http.fastapi import Request, Response, WebApp

from api.builtin_pages import remove_builtin_pages


async def test_every_path_reaches_our_functions() -> None:
    remove_builtin_pages()
    web = WebApp()

    async def ours(request: Request) -> Response:
        return Response("ours")

    web.route(ours)  # pyright: ignore[reportUnknownMemberType] - the extension's signature
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web.get_app()), base_url="http://worker") as http:
        for path in ("/openapi.json", "/docs", "/redoc", "/v1/models", "/v1/models/a%0Ab", "/v1/models/a%0A"):
            assert (await http.get(path)).text == "ours", path
