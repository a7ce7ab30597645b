"""Which examples does docs/api.md give, and how is one run as it stands?"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conformance.installing import JAVASCRIPT, NODE, ROOT
from tests.conformance.programs import said_by

PAGE: Final = ROOT / "docs" / "api.md"
LANGUAGES: Final = ("python", "js", "sh")
BLOCK: Final = re.compile(r"^```(python|js|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STRICT: Final = "set -euo pipefail\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    title: str
    language: str
    text: str


def blocks_in(part: str) -> dict[str, str]:
    return {found[1]: found[2] for found in BLOCK.finditer(part)}


def blocks_by_language(page: str) -> dict[str, list[str]]:
    """Return all blocks of a page by their language, in their order."""
    found: dict[str, list[str]] = {}
    for block in re.finditer(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        found.setdefault(block[1], []).append(block[2])
    return found


def beginnings() -> dict[str, str]:
    """Return what stands before every example, by language."""
    return blocks_in(PAGE.read_text(encoding="utf-8").partition("\n## Set-up\n")[2].partition("\n## ")[0])


def examples() -> list[Example]:
    """Return what each part with a title of its own gives, in the order of the page."""
    parts = re.split(r"^#{2} ?(?!#)", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    titled = [part.partition("\n") for chapter in parts for part in chapter.split("\n### ")[1:]]
    return [
        Example(title=title, language=language, text=block)
        for title, _, part in titled
        for language, block in blocks_in(part).items()
    ]


async def printed_by(example: Example, port: int, folder: Path) -> str:
    """Run an example behind its beginning, against the server on that port; raises AssertionError where it fails."""
    begin = beginnings()
    script = STRICT + begin["sh"]
    if example.language == "sh":
        script += example.text
    else:
        script += program_of(begin[example.language] + example.text, example.language, folder)
    return "\n".join(await said_by("bash", "-c", script, environment={"PORT": str(port)}, folder=ROOT))


def program_of(text: str, language: str, folder: Path) -> str:
    """Write a program to where it finds its packages; return the line of shell that runs it."""
    runner, place = (sys.executable, folder) if language == "python" else (NODE, JAVASCRIPT)
    file = place / f"{folder.name}.{'py' if language == 'python' else 'mjs'}"
    file.write_text(text, encoding="utf-8")
    return f"exec '{runner}' '{file}'\n"
