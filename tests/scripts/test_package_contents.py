"""Does the package stay small, and hold what it should? Judged by its list of files, without building it."""

import fnmatch
import re
import zlib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from scripts.package.ignore_rules import packaged
from scripts.package.libraries import UNREAD, UNUSED
from settings import ROOT

FILES = {
    *(".funcignore", "function_app.py", "settings.py", "host.json", "requirements.txt"),
    *("fleet.toml", "pipelines.toml", "prices.toml", "sources.toml", "systems.toml", "tools.toml", "webhooks.toml"),
}
FOLDERS = {
    *("activities", "api", "clients", "composition", "console", "domain", "orchestrators", "state", "telemetry"),
}
KINDS = {"", ".py", ".toml", ".json", ".txt", ".html", ".css", ".js", ".svg", ".md"}
OWN_MB = 1.5
"""The zipped sources of the app; its bytecode takes as much again."""

LIBRARIES_MB = 56
"""The libraries on the disk, which are 27 MB in the archive with the bytecode."""

LARGE = {"cryptography", "pydantic_core"}
"""The libraries with more than 5 MB each."""

PIN = re.compile(r"^([\w.-]+)(?:\[[^\]]*\])?==\S+", re.MULTILINE)


def test_the_package_has_the_files_of_the_app_and_no_others() -> None:
    files = list(packaged(ROOT))
    assert {path.name for path in files if len(path.parts) == 1} == FILES
    assert {path.parts[0] for path in files if len(path.parts) > 1} == FOLDERS
    assert {path.suffix for path in files} <= KINDS
    assert [path for path in files if re.search(r"secret|\.pem$|local\.settings|__pycache__|/tests?/", str(path))] == []


def test_the_app_itself_stays_small() -> None:
    zipped = sum(len(zlib.compress((ROOT / path).read_bytes(), 6)) for path in packaged(ROOT))
    assert zipped < OWN_MB * 1e6, f"{zipped / 1e6:.2f} MB"


def shipped_bytes(name: str) -> int:
    """Return the bytes of an installed library that go into the package; 0 where it is not installed here."""
    try:
        files = distribution(name).files or ()
    except PackageNotFoundError:
        return 0
    return sum(size_of(Path(str(file.locate()))) for file in files if goes_along(str(file)))


def size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def goes_along(path: str) -> bool:
    is_unused = path.startswith("..") or any(path == each or path.startswith(f"{each}/") for each in UNUSED)
    return not (is_unused or "__pycache__" in path or any(fnmatch.fnmatch(path, f"*{each}") for each in UNREAD))


def sizes() -> Iterator[tuple[str, int]]:
    for name in PIN.findall((ROOT / "requirements.txt").read_text(encoding="utf-8")):
        yield name.lower().replace("-", "_"), shipped_bytes(name)


def test_the_libraries_stay_small_and_a_large_one_is_named() -> None:
    found = dict(sizes())
    assert sum(size > 0 for size in found.values()) > len(found) / 2
    assert {name for name, size in found.items() if size > 5_000_000} == LARGE
    assert sum(found.values()) < LIBRARIES_MB * 1e6, f"{sum(found.values()) / 1e6:.1f} MB"
