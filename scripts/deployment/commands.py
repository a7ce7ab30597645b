"""How are the programs of the clouds called?"""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

ROOT: Final = Path(__file__).resolve().parents[2]


class DeploymentError(Exception):
    """A step failed or was refused; the message names what to change."""


class CommandRunner(Protocol):
    """Runs one command line and returns what it wrote to standard output."""

    def __call__(self, *command: str, succeeds: bool = True) -> str: ...


def run(*command: str, succeeds: bool = True) -> str:
    """Run a program; raises DeploymentError where it is missing, or where it fails and has to succeed."""
    program = shutil.which(command[0])
    if program is None:
        raise DeploymentError(f"{command[0]} is not installed; infra/README.md lists what a deployment needs")
    done = subprocess.run((program, *command[1:]), cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode and succeeds:
        raise DeploymentError(f"{shown(command)} failed: {done.stderr.strip() or done.stdout.strip()}")
    return "" if done.returncode else done.stdout.strip()


def rehearsed(answer_of: Callable[[Sequence[str]], str]) -> CommandRunner:
    """Return what prints each command line instead of running it, and gives a stated answer."""

    def rehearse(*command: str, succeeds: bool = True) -> str:  # noqa: ARG001 - the port's argument
        sys.stdout.write(f"{shown(command)}\n")
        return answer_of(command)

    return rehearse


def shown(command: Sequence[str]) -> str:
    return shlex.join(command)


def answer(text: str) -> dict[str, Any]:
    """Parse the JSON object that a program wrote; nothing gives an empty one."""
    return json.loads(text) if text else {}


def answers(text: str) -> list[dict[str, Any]]:
    """Parse the JSON list that a program wrote; nothing gives an empty one."""
    return json.loads(text) if text else []
