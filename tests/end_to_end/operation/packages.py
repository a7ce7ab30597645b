"""How do tests publish the package, and which distributions does it require?"""

import re
import shutil
from functools import cache
from pathlib import Path

from scripts.package.ignore_rules import packaged


def publish(root: Path, target: Path) -> None:
    """Copy the package of a project into a folder."""
    for path in packaged(root):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / path, target / path)


@cache
def required(root: Path) -> frozenset[str]:
    """Return the distributions that requirements.txt names, by their normalised names."""
    pins = re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==", (root / "requirements.txt").read_text(), re.MULTILINE)
    return frozenset(normalised(pin) for pin in pins)


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
