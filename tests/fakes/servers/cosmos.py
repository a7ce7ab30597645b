"""Which Cosmos DB do tests use? One local server for a test run, with a database for each test."""

import asyncio
import atexit
import os
import secrets
import shutil
import ssl
import tempfile
import time
from copy import replace
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients.storage.cosmos.settings import CosmosAccount
from clients.storage.cosmos.setup import set_up
from standins.cosmos.account import AccountFiles
from standins.cosmos.node import SetUpError, find_node, installed_packages
from standins.issuer.entra_tokens import LocalIssuer, issuer_in
from standins.paths import ROOT
from standins.processes.child_process import ChildProcess, ProcessSpec, python_command
from standins.processes.http_server import HOST

START_S = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCosmos:
    """A running server: its address, key and CA, and the issuer whose tokens it accepts."""

    url: str
    files: AccountFiles
    issuer: LocalIssuer

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.files.authority))

    def account(self, database: str = "ganglion") -> CosmosAccount:
        return CosmosAccount(url=self.url, database=database, key=self.files.key, authority=self.files.authority)

    def new_database(self) -> CosmosAccount:
        account = replace(self.account(), database=f"test-{secrets.token_hex(8)}")
        asyncio.run(set_up(account, now=time.time()))  # noqa: TID251 - the server goes by the real time
        return account

    def emptied(self) -> CosmosAccount:
        """Return the database that the tests share, emptied, with an empty request log."""
        account = contract_database()
        self.ask("DELETE", f"/__documents/{account.database}")
        self.ask("DELETE", "/__requests")
        return account

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control routes of the server: /__faults and /__requests."""
        return httpx.request(method, self.url + path, json=body, verify=self.context).json()

    def plan_faults(self, *faults: dict[str, Any]) -> None:
        self.ask("PUT", "/__faults", list(faults))

    def requests(self) -> list[dict[str, Any]]:
        return self.ask("GET", "/__requests")["requests"]


def start(folder: Path, port: int = 0) -> tuple[ChildProcess, LocalCosmos]:
    """Start a server over a folder; it ends with `stop`, or with the test process."""
    issuer = issuer_in(folder)
    command = python_command("standins.cosmos", "--port", port, "--data", folder, "--keys", issuer.key_set)
    log = folder / "cosmos.log"
    child = ChildProcess(ProcessSpec(name="cosmos", command=command, environment=os.environ, log=log, folder=ROOT))
    try:
        found = child.wait_for(child.ready_port, START_S)
    except BaseException:
        child.stop()
        raise
    return child, LocalCosmos(
        url=f"https://{HOST}:{found}", files=AccountFiles(folder=folder / "cosmos"), issuer=issuer
    )


@cache
def shared() -> LocalCosmos | str:
    """Return the server of this test run, or the reason why it cannot start here."""
    try:
        installed_packages(find_node())
    except SetUpError as error:
        return str(error)
    folder = Path(tempfile.mkdtemp(prefix="ganglion-cosmos-"))
    child, server = start(folder)
    atexit.register(stop, child, folder)
    return server


@cache
def contract_database() -> CosmosAccount:
    return local_cosmos().new_database()


def stop(child: ChildProcess, folder: Path) -> None:
    child.stop()
    shutil.rmtree(folder)


def local_cosmos() -> LocalCosmos:
    """Return the server; skips the test where it cannot start."""
    server = shared()
    if isinstance(server, str):
        pytest.skip(f"no local Cosmos DB: {server}")
    return server
