"""How does a test run a real model server, and what does the product see of it?"""

import asyncio
import os
import subprocess
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from clients.backends.http_backend import HttpBackend
from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from domain.fleet.failure_classes import Diagnosis, diagnose
from tests.contracts.backends.scene import asking

LOOK_S = 0.1
GUARD_S = 300
"""How long a busy machine may take to import a server."""


async def answer(client: HttpBackend, call: BackendCall | None = None) -> list[TextPiece | AnswerEnd]:
    async with client.stream(call or asking("COUNT 5")) as pieces:
        return [piece async for piece in pieces]


async def diagnosed(client: HttpBackend, *, probes: bool) -> Diagnosis | None:
    """Return what the failure of a call or a probe means; None where there is none."""
    try:
        await (client.probe() if probes else answer(client))
    except BackendError as error:
        return diagnose(error.failure, client.backend.signatures)
    return None


async def up(client: HttpBackend, server: subprocess.Popen[bytes], *, within_s: float = GUARD_S) -> None:
    """Wait until a server is up; it fails at once where its process has ended."""
    async with asyncio.timeout(within_s):
        while await diagnosed(client, probes=True):
            assert server.poll() is None, f"the server ended with the status {server.returncode}"
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def running(
    command: Sequence[str | Path], folder: Path, **variables: str
) -> AsyncGenerator[subprocess.Popen[bytes]]:
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(  # noqa: ASYNC220, S603 - a command of ours, started at once
            command, cwd=folder, stdout=log, stderr=log, env={**os.environ, **variables}
        )
        try:
            yield server
        finally:
            server.terminate()
            await asyncio.to_thread(server.wait, 60)
