"""Does a running product call a tool with its caller's rights, without a trace of the token on its disk?"""

import asyncio
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web

from standins.cluster.local_cluster import LocalCluster
from standins.issuer.entra_tokens import AUDIENCE, issuer_in, published_keys
from standins.issuer.on_behalf_of import DOWNSTREAM
from tests.clients.tools.mcp.protected_server import ticket_server
from tests.end_to_end.callers import asking, calling
from tests.end_to_end.conftest import hasty
from tests.fakes.servers.listening import listening
from tests.fakes.servers.web_servers import served
from tests.fakes.tools import caller_server

pytestmark = pytest.mark.campaign

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
TOOLS = f"""{caller_server("cases", "http", scope=f"{DOWNSTREAM}/.default")}
[servers.cases.tools.list]
description = "Lists the cases."
method = "GET"
path = "/cases"
effect = "read"
timeout_s = 60
"""


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        each.name: each.read_bytes() for each in folder.rglob("*") if each.is_file() and "identity" not in each.parts
    }


MCP_TOOLS = f"""{caller_server("cases", "mcp", scope=f"{DOWNSTREAM}/.default")}
[servers.cases.tools.whoami]
effect = "read"
timeout_s = 60
"""


class Cases:
    """A service that keeps the tokens it gets, and what is on the product's disk while it answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokens: list[str] = []
        self.disk: dict[str, bytes] = {}

    async def answer(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers["authorization"].removeprefix("Bearer "))
        self.disk = await asyncio.to_thread(files_in, self.folder)
        return web.json_response({"cases": ["a leaking roof"]})


async def test_a_token_of_the_caller_is_used_and_is_nowhere_on_the_disk(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "tools.toml"
    cases, app = Cases(data), web.Application()
    app.router.add_get("/cases", cases.answer)
    options = hasty(data, GANGLION_TOOLS=str(file), GANGLION_SEALING_KEY=KEY)
    async with served(app) as url:
        file.write_text(TOOLS.format(url=url))
        async with LocalCluster(options) as cluster, calling(cluster) as caller:
            prompt = 'PLAN [[["cases__list", {}]]] THEN done'
            made = (await caller.create(asking(prompt, tools=[{"type": "mcp", "server_label": "cases"}]))).json()
            own = caller.http.headers["authorization"].removeprefix("Bearer ")
            after = files_in(data)
    assert {"hub.db", "app.db"} <= set(cases.disk)
    assert any(b'"grant"' in content for content in cases.disk.values())
    check(made, own, cases.tokens, (cases.disk, after))


class DiskWatch:
    """A server of the official SDK that takes tokens for itself alone; it keeps what is on the disk during a call."""

    def __init__(self, folder: Path) -> None:
        keys = published_keys(issuer_in(folder).key_set)
        server = ticket_server({each["kid"]: jwt.PyJWK(each) for each in keys}, audience=DOWNSTREAM, scope="private")
        self.app, self.folder = server.streamable_http_app(), folder
        self.tokens: list[str] = []
        self.disk: dict[str, bytes] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        if b"authorization" in headers:
            self.tokens.append(headers[b"authorization"].decode().removeprefix("Bearer "))
        if headers.get(b"mcp-method") == b"tools/call":
            self.disk = await asyncio.to_thread(files_in, self.folder)
        await self.app(scope, receive, send)


async def test_an_mcp_server_gets_a_token_of_the_caller_that_is_nowhere_on_the_disk(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "tools.toml"
    data.mkdir()
    watch = DiskWatch(data)
    async with listening(watch) as url:
        file.write_text(MCP_TOOLS.format(url=url))
        options = hasty(data, GANGLION_TOOLS=str(file), GANGLION_SEALING_KEY=KEY)
        async with LocalCluster(options) as cluster, calling(cluster) as caller:
            prompt = 'PLAN [[["cases__whoami", {}]]] THEN done'
            made = (await caller.create(asking(prompt, tools=[{"type": "mcp", "server_label": "cases"}]))).json()
            own = caller.http.headers["authorization"].removeprefix("Bearer ")
            after = files_in(data)
    assert any(b'"grant"' in content for content in watch.disk.values())
    check(made, own, watch.tokens, (watch.disk, after))
    subject = jwt.decode(own, options={"verify_signature": False})["oid"]
    assert json.loads(made["output"][1]["output"]) == {"result": subject}


def check(made: Any, own: str, tokens: list[str], disks: tuple[dict[str, bytes], ...]) -> None:
    """Check that the server got one token, of the caller and for itself, and that no token is on a disk."""
    assert [item["type"] for item in made["output"]] == ["mcp_list_tools", "mcp_call", "message"], json.dumps(made)
    (token,) = set(tokens)
    claims = jwt.decode(token, options={"verify_signature": False})
    mine = jwt.decode(own, options={"verify_signature": False})
    assert (claims["aud"], claims["azp"], claims["oid"]) == (DOWNSTREAM, AUDIENCE, mine["oid"])
    for secret in (token.encode(), own.encode()):
        found = [name for disk in disks for name, content in disk.items() if secret in content]
        assert found == []
