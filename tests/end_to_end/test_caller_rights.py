"""Does a running product call a tool with its caller's rights, without a trace of the token on its disk?"""

import asyncio
import json
from pathlib import Path

import jwt
import pytest
from aiohttp import web

from standins.cluster.local_cluster import LocalCluster
from standins.issuer.entra_tokens import AUDIENCE
from standins.issuer.on_behalf_of import DOWNSTREAM
from tests.end_to_end.callers import asking, calling
from tests.end_to_end.conftest import hasty

pytestmark = pytest.mark.campaign

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
TOOLS = """
[servers.cases]
kind = "http"
url = "{url}"
auth = "obo"
scope = "{scope}/.default"

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
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    file.write_text(TOOLS.format(url=f"http://127.0.0.1:{runner.addresses[0][1]}", scope=DOWNSTREAM))
    options = hasty(data, GANGLION_TOOLS=str(file), GANGLION_SEALING_KEY=KEY)
    async with LocalCluster(options) as cluster, calling(cluster) as caller:
        prompt = 'PLAN [[["cases__list", {}]]] THEN done'
        made = (await caller.create(asking(prompt, tools=[{"type": "mcp", "server_label": "cases"}]))).json()
        own = caller.http.headers["authorization"].removeprefix("Bearer ")
        after = files_in(data)
    await runner.cleanup()
    assert [item["type"] for item in made["output"]] == ["mcp_list_tools", "mcp_call", "message"], json.dumps(made)
    (token,) = cases.tokens
    claims = jwt.decode(token, options={"verify_signature": False})
    mine = jwt.decode(own, options={"verify_signature": False})
    assert (claims["aud"], claims["azp"], claims["oid"]) == (DOWNSTREAM, AUDIENCE, mine["oid"])
    assert {"hub.db", "app.db"} <= set(cases.disk)
    assert any(b'"grant"' in content for content in cases.disk.values())
    for secret in (token.encode(), own.encode()):
        found = [name for disk in (cases.disk, after) for name, content in disk.items() if secret in content]
        assert found == []
