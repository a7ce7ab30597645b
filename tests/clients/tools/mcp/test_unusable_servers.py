"""What does the operator read of a server that does not speak MCP?"""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from clients.tools.factory import build_tools
from domain.config.tools_toml import tools_from_toml
from tests.clients.tools.mcp.servers import FILE
from tests.fakes.clocks import FakeClock
from tests.fakes.servers.listening import listening

UNREADABLE = "The server does not speak MCP: its first answer cannot be read (MCPError)."
ANSWERS: dict[str, tuple[Response, str]] = {
    "a page": (PlainTextResponse("SECRET"), UNREADABLE),
    "broken JSON": (Response("{SECRET", media_type="application/json"), UNREADABLE),
    "a list": (JSONResponse(["SECRET"]), UNREADABLE),
    "a redirect": (RedirectResponse("http://SECRET.example/"), "The server answered with status 307."),
    "no access": (PlainTextResponse("SECRET", status_code=401), "The server answered with status 401."),
    "an error": (PlainTextResponse("SECRET", status_code=500), "The server answered with status 500."),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_the_reason_says_what_came_and_quotes_nothing(name: str) -> None:
    answer, reason = ANSWERS[name]

    async def respond(_request: Request) -> Response:
        return answer

    tools = build_tools(FakeClock(), loopback=True, client_id=None)
    async with listening(Starlette(routes=[Route("/mcp", respond, methods=["POST"])])) as url:
        listing = await tools.listing(tools_from_toml(FILE.format(url=url), {}, on_azure=False).known["shop"])
        await tools.close()
    assert (listing.problem, listing.tools) == (reason, ())
