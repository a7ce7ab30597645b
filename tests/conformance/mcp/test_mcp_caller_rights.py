"""Does a server of the official TypeScript SDK, which checks tokens, take the caller's from a running product?"""

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager
from os import environ
from pathlib import Path

import jwt
import pytest

from standins.cluster.local_cluster import LocalCluster
from standins.issuer.entra_tokens import issuer_in
from standins.issuer.on_behalf_of import DOWNSTREAM
from standins.paths import ROOT
from standins.processes.child_process import ChildProcess, ProcessSpec
from tests.conformance.installing import ticket_server
from tests.end_to_end.callers import asking, calling
from tests.end_to_end.conftest import hasty

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

READY_S = 60.0
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
TOOLS = """
[servers.{label}]
kind = "mcp"
url = "http://127.0.0.1:{port}"
auth = "obo"
scope = "{scope}/.default"

[servers.{label}.tools.whoami]
effect = "read"
timeout_s = 60
"""


@contextmanager
def served(folder: Path, keys: str, audience: str) -> Generator[int]:
    """Run a server that takes tokens for an audience alone; yield its port."""
    name = audience.rpartition("/")[2]
    settings = {**environ, "PORT": "0", "KEYS": keys, "AUDIENCE": audience}
    command = [str(each) for each in ticket_server()]
    log = folder / f"{name}.log"
    child = ChildProcess(ProcessSpec(name=name, command=command, environment=settings, log=log, folder=ROOT))
    try:
        yield child.wait_for(child.ready_port, READY_S)
    finally:
        child.stop()


async def test_a_server_takes_the_callers_token_for_it_and_no_other(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "tools.toml"
    data.mkdir()
    keys = await asyncio.to_thread(issuer_in(data).key_set.read_text)
    with served(tmp_path, keys, DOWNSTREAM) as port, served(tmp_path, keys, "api://others") as other:
        ports = {"tickets": port, "others": other}
        file.write_text("".join(TOOLS.format(label=each, port=ports[each], scope=DOWNSTREAM) for each in ports))
        options = hasty(data, GANGLION_TOOLS=str(file), GANGLION_SEALING_KEY=KEY)
        async with LocalCluster(options) as cluster, calling(cluster) as caller:
            tools = [{"type": "mcp", "server_label": each} for each in ports]
            made = (await caller.create(asking('PLAN [[["tickets__whoami", {}]]] THEN done', tools=tools))).json()
            own = caller.http.headers["authorization"].removeprefix("Bearer ")
    problems = {item["server_label"]: item.get("error") for item in made["output"] if item["type"] == "mcp_list_tools"}
    (called,) = [item for item in made["output"] if item["type"] == "mcp_call"]
    subject = jwt.decode(own, options={"verify_signature": False})["oid"]
    assert (called["output"], called["error"]) == (subject, None), json.dumps(made)
    assert problems["tickets"] is None
    assert "401" in json.dumps(problems["others"])
