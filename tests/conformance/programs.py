"""Which programs use the kits, and what do they tell?"""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conformance.installing import FRAMEWORKS, GIVEN, JAVASCRIPT, NODE, PYTHON

AT_MOST_S: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`problem` is None where a check of a kit passed."""

    kit: str
    check: str
    problem: str | None

    @property
    def name(self) -> str:
        return f"{self.kit}: {self.check}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """`package` is empty where the program itself says what it uses; `folder` has the program and its lock."""

    file: str
    package: str = ""
    folder: str = "python"

    @property
    def in_python(self) -> bool:
        return self.file.endswith(".py")

    @property
    def command(self) -> tuple[Path, Path]:
        if not self.in_python:
            return NODE, JAVASCRIPT / self.file
        return (FRAMEWORKS if self.folder == "frameworks" else PYTHON), GIVEN / self.folder / self.file

    @property
    def title(self) -> str:
        if not self.package:
            return ""
        language = "Python" if self.in_python else "JavaScript"
        version = python_version(self.package, self.folder) if self.in_python else javascript_version(self.package)
        return f"{self.package} {version} ({language}), "


PROGRAMS: Final = (
    Program(package="openai", file="with_openai.py"),
    Program(package="openai", file="openai.mjs"),
    Program(package="ai", file="ai-sdk.mjs"),
    Program(package="langchain-openai", file="with_langchain.py"),
    Program(package="@langchain/openai", file="langchain.mjs"),
    Program(package="openai-agents", file="with_agents.py"),
    Program(package="@openai/agents", file="agents.mjs"),
)


FRAMEWORK_PROGRAMS: Final = (
    Program(package="litellm", file="with_litellm.py", folder="frameworks"),
    Program(package="pydantic-ai-slim", file="with_pydantic_ai.py", folder="frameworks"),
    Program(package="langgraph", file="with_langgraph.py", folder="frameworks"),
    Program(package="instructor", file="with_instructor.py", folder="frameworks"),
    Program(package="llm", file="with_llm.py", folder="frameworks"),
)


def python_version(package: str, folder: str) -> str:
    lock = (GIVEN / folder / "requirements.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{package}(?:\[\S+\])?==(\S+)", lock, re.MULTILINE)
    return found[1] if found else "unknown"


def javascript_version(package: str) -> str:
    given = json.loads((GIVEN / "javascript" / "package.json").read_text(encoding="utf-8"))
    return given["dependencies"][package]


async def found_by(program: Program, environment: Mapping[str, str]) -> list[Finding]:
    """Run a program to its end; raises AssertionError where it does not come to one by itself."""
    lines = await said_by(*program.command, environment=environment)
    told = [json.loads(line) for line in lines if line.startswith('{"kit"')]
    assert told, f"{program.file} told nothing"
    return [Finding(kit=f"{program.title}{each['kit']}", check=each["check"], problem=each["problem"]) for each in told]


async def said_by(*command: str | Path, environment: Mapping[str, str], folder: Path | None = None) -> list[str]:
    """Return the lines that a program printed; raises AssertionError unless it ended well and in time."""
    pipe = asyncio.subprocess.PIPE
    told = {**os.environ, **environment}
    child = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=told, cwd=folder
    )
    try:
        said, complained = await asyncio.wait_for(child.communicate(), AT_MOST_S)
    except TimeoutError:
        child.kill()
        said, complained = await child.communicate()
    text = said.decode(errors="replace")
    assert child.returncode == 0, f"{command[-1]}: {child.returncode}\n{text[-2000:]}\n{complained.decode()[-4000:]}"
    return text.splitlines()
