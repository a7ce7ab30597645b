"""Does the package leave out what git would, stay small, and hold what it should? Judged without building it."""

import fnmatch
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from scripts.package.ignore_rules import is_ignored, packaged, rules_from_text
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


RULES = """
# a comment
*.log
!keep.log
/top
build/
docs/*.md
deep/**
**/cache
a/**/z
data-[0-9].csv
data-[!ab].txt
tail?
\\#sharp
\\!bang
spaced   
"""  # noqa: W291 - git drops the spaces at the end of a line
PATHS = (
    *("x.log", "in/x.log", "keep.log", "in/keep.log", "top", "in/top", "docs/a.md", "docs/in/a.md", "in/docs/a.md"),
    *("deep", "deep/a", "deep/in/a", "cache", "in/cache", "a/z", "a/b/z", "a/b/c/z", "in/a/z", "az"),
    *("data-1.csv", "data-x.csv", "data-a.txt", "data-c.txt", "tail", "tails", "tail/s", "#sharp", "!bang", "bang"),
    *("spaced", "build"),
)


GIT = shutil.which("git") or "git"


def git_ignores(folder: Path, paths: Sequence[str]) -> set[str]:
    """Return which paths git leaves out by the .gitignore of a folder."""
    asked = (GIT, "-C", str(folder), "check-ignore", "--no-index", "--stdin")
    done = subprocess.run(asked, input="\n".join(paths), capture_output=True, text=True, check=False)  # noqa: S603 - git, with our paths
    return set(done.stdout.splitlines())


def test_what_git_leaves_out_is_left_out(tmp_path: Path) -> None:
    subprocess.run((GIT, "init", "-q", str(tmp_path)), check=True)  # noqa: S603 - as above
    (tmp_path / ".gitignore").write_text(RULES, encoding="utf-8")
    rules = rules_from_text(RULES)
    ours = {path for path in PATHS if is_ignored(rules, path, folder=False)}
    assert ours == git_ignores(tmp_path, PATHS)
    assert ours


def test_a_rule_for_folders_leaves_files_of_its_name_in(tmp_path: Path) -> None:
    (tmp_path / ".funcignore").write_text("build/\n", encoding="utf-8")
    for name in ("in/build/a.py", "build", "b.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.as_posix() for path in packaged(tmp_path)] == [".funcignore", "b.py", "build"]


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
