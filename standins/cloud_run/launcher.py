"""How does the process of an instance start and become ready?"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from standins.paths import ROOT
from standins.processes.child_process import POLL_S, ChildProcess, ProcessSpec, StartError

PROCESS_READY_S = 120.0


class Launcher:
    """Starts a model's command; `spare` starts one process in advance, so that scaled start-up times are exact."""

    def __init__(self, *, command: Sequence[str], logs: Path, spare: bool) -> None:
        self.command = command
        self.logs = logs
        self.spare = spare
        self.started = 0
        self.prepared: ChildProcess | None = None

    def prepare(self) -> None:
        if self.spare and self.prepared is None:
            self.prepared = self.start()

    def launch(self) -> ChildProcess:
        spare, self.prepared = self.prepared, None
        child = spare if spare is not None and spare.alive else self.start()
        self.prepare()
        return child

    def start(self) -> ChildProcess:
        self.started += 1
        name = f"instance-{self.started}"
        log = self.logs / f"{name}.log"
        return ChildProcess(ProcessSpec(name=name, command=self.command, environment=os.environ, log=log, folder=ROOT))

    def stop(self) -> None:
        if self.prepared is not None:
            self.prepared.stop()


async def wait_for_port(child: ChildProcess) -> int:
    """Gives the port that the process serves; raises StartError when it ends, TimeoutError when it takes too long."""
    async with asyncio.timeout(PROCESS_READY_S):
        while (port := child.ready_port()) is None:
            if not child.alive:
                raise StartError(f"{child.spec.name} ended with exit code {child.process.returncode}")
            await asyncio.sleep(POLL_S)
    return port


async def wait_until_ended(child: ChildProcess) -> None:
    while child.alive:  # noqa: ASYNC110 - the end of a process sets no event
        await asyncio.sleep(POLL_S)
