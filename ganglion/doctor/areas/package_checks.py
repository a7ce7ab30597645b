"""Is the package complete, and does this machine run it as Azure does?"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from ganglion.doctor.findings import Fault, error, warning
from ganglion.doctor.subject import Subject

FILES: Final = (
    "function_app.py",
    "settings.py",
    "host.json",
    "requirements.txt",
    "fleet.toml",
    "prices.toml",
    "systems.toml",
    "sources.toml",
    "tools.toml",
    "webhooks.toml",
    "pipelines.toml",
)
PACKAGES: Final = ("activities", "api", "clients", "composition", "domain", "orchestrators", "state", "telemetry")
NOT_DEPLOYED: Final = ("tests", "devhost", "standins", "benches", "ganglion", "local.settings.json", ".venv")
PYTHONS: Final = ((3, 13), (3, 14))
PIN: Final = re.compile(r"^([\w.-]+)(?:\[[^\]]*\])?==(\S+)(?:\s*;\s*(.*?))?(?:\s*\\)?$", re.MULTILINE)


def contents(subject: Subject) -> Iterator[Fault]:
    root = subject.target.root
    missing = [name for name in FILES if not (root / name).is_file()]
    missing += [f"{name}/" for name in PACKAGES if not (root / name / "__init__.py").is_file()]
    for name in missing:
        yield error(f"{name} is missing in {root}", f"git checkout {name}")


def exclusions(subject: Subject) -> Iterator[Fault]:
    file = subject.target.root / ".funcignore"
    listed = set(file.read_text(encoding="utf-8").splitlines()) if file.is_file() else set[str]()
    for name in NOT_DEPLOYED:
        if name not in listed:
            yield error(f".funcignore does not exclude {name}", f"echo {name} >> .funcignore")


def python_version(subject: Subject) -> Iterator[Fault]:
    found = subject.target.python
    if found not in PYTHONS:
        text = f"Python {found[0]}.{found[1]} runs here; the app needs 3.13 or 3.14"
        yield error(text, "PYTHON=python3.13 make setup")


def installed(subject: Subject) -> Iterator[Fault]:
    """Compare the pins without an environment marker: the others are for other platforms."""
    file = subject.target.root / "requirements.txt"
    pins = PIN.findall(file.read_text(encoding="utf-8")) if file.is_file() else []
    for name, pinned, marker in pins:
        if not marker and (found := installed_version(name)) != pinned:
            yield error(f"{name} {pinned} is pinned, {found or 'no version'} is installed", "make setup")


@cache
def installed_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def hashes(subject: Subject) -> Iterator[Fault]:
    file = subject.target.root / "requirements.txt"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    unhashed = [
        name for name, *_ in PIN.findall(text) if not re.search(rf"^{re.escape(name)}\b.*\\$", text, re.MULTILINE)
    ]
    for name in unhashed:
        yield warning(f"requirements.txt pins {name} without a hash", "make lock")
