"""How does the process of an instance start, and get ready?"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from standins.paths import ROOT
from standins.processes.child_process import POLL_S, Child, Plan, StartError

PROCESS_READY_S = 120.0


class Launcher:
    """Starts a model's command; with `spare`, one process beforehand, so that scaled starts take their exact time."""

    def __init__(self, *, command: Sequence[str], logs: Path, spare: bool) -> None:
        self.command = command
        self.logs = logs
        self.spare = spare
        self.started = 0
        self.beforehand: Child | None = None

    def prepare(self) -> None:
        if self.spare and self.beforehand is None:
            self.beforehand = self.start()

    def launch(self) -> Child:
        taken, self.beforehand = self.beforehand, None
        child = taken if taken is not None and taken.alive else self.start()
        self.prepare()
        return child

    def start(self) -> Child:
        self.started += 1
        name = f"instance-{self.started}"
        log = self.logs / f"{name}.log"
        return Child(Plan(name=name, command=self.command, environment=os.environ, log=log, folder=ROOT))

    def stop(self) -> None:
        if self.beforehand is not None:
            self.beforehand.stop()


async def ready_port(child: Child) -> int:
    """Gives the port that the process serves; raises StartError when it ends, or takes too long."""
    async with asyncio.timeout(PROCESS_READY_S):
        while (port := child.ready_port()) is None:
            if not child.alive:
                raise StartError(f"{child.plan.name} ended with exit code {child.process.returncode}")
            await asyncio.sleep(POLL_S)
    return port


async def ended(child: Child) -> None:
    while child.alive:  # noqa: ASYNC110 - a process that ends sets no event
        await asyncio.sleep(POLL_S)
