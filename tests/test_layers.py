"""Do the rules hold that the layers' own tool can't see?"""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from settings import ROOT

ROOMS = ("composition", "api", "activities", "state", "clients", "domain", "orchestrators", "telemetry")
ROOT_MODULES = ("function_app", "settings")
PRODUCT = [
    *(ROOT / f"{name}.py" for name in ROOT_MODULES),
    *(file for room in ROOMS for file in (ROOT / room).rglob("*.py")),
]
OURS = {*ROOMS, *ROOT_MODULES, "devhost", "standins", "benches", "scripts", "tests"}
PURE = {"collections", "copy", "datetime", "msgspec", "typing", "uuid", "azure", "domain", "orchestrators"}

CHANCE = {"time", "random", "secrets", "uuid"}
MAY_HAVE_CHANCE = {
    "clients/clock.py": {"time", "secrets"},
    "clients/storage/sqlite/connection.py": {
        "time"
    },  # a thread of its own waits there, by the clock that never goes back
    "orchestrators/context.py": {"uuid"},  # the type alone
}
MAY_READ_THE_ENVIRONMENT = {
    "function_app.py",
    "clients/storage/cosmos/setup.py",  # a command of its own
}


def place(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def imported(file: Path) -> Iterator[str]:
    """Yield the full names of the modules that a file imports, wherever in it."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide their layer"
            yield node.module or ""


def rooms_imported(file: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(file)}


def by_place(files: list[Path]) -> Any:
    return pytest.mark.parametrize("file", files, ids=place)


def test_every_file_of_the_product_is_looked_at() -> None:
    assert len(PRODUCT) > 70
    assert {place(file).partition("/")[0] for file in PRODUCT} >= {*ROOMS, "settings.py"}


@by_place([ROOT / "settings.py", *(ROOT / "telemetry").glob("*.py")])
def test_what_all_rooms_use_knows_the_domain_alone(file: Path) -> None:
    assert rooms_imported(file) & OURS <= {"domain", "telemetry"}


@by_place(PRODUCT)
def test_nobody_imports_the_place_where_all_comes_together_or_what_is_not_deployed(file: Path) -> None:
    assert not rooms_imported(file) & {"function_app", "devhost", "standins", "benches", "scripts", "tests"}


@by_place(PRODUCT)
def test_time_and_chance_come_from_the_clock_alone(file: Path) -> None:
    assert rooms_imported(file) & CHANCE <= MAY_HAVE_CHANCE.get(place(file), set())


@by_place(PRODUCT)
def test_the_environment_is_read_where_all_comes_together(file: Path) -> None:
    reads = [
        node for node in ast.walk(tree(file)) if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    ]
    assert not reads or place(file) in MAY_READ_THE_ENVIRONMENT


@by_place([file for file in PRODUCT if file.parent.name == "orchestrators"])
def test_orchestrators_await_nothing_and_import_nothing_that_acts(file: Path) -> None:
    assert rooms_imported(file) <= PURE
    assert not [node for node in ast.walk(tree(file)) if isinstance(node, ast.Await | ast.AsyncFunctionDef)]


def linted(source: str, file: str) -> str:
    """Return what the linter says of a source that were at this place, by the project's own rules."""
    result = subprocess.run(  # noqa: S603 - our own linter and our own words
        [sys.executable, "-m", "ruff", "check", "--output-format", "concise", "--stdin-filename", file, "-"],
        cwd=ROOT,
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout


@pytest.mark.parametrize("call", ["time.time()", "datetime.datetime.now()", "datetime.datetime.utcnow()"])
def test_the_linter_rejects_a_second_reader_of_the_clock(call: str) -> None:
    source = f'"""What time is it?"""\n\nimport {call.partition(".")[0]}\n\nNOW = {call}\n'
    assert "TID251" in linted(source, "activities/another.py")
    assert "TID251" in linted(source, "clients/another.py")


def test_only_the_clock_has_leave_to_read_the_clock() -> None:
    excused = [place(file) for file in PRODUCT if "TID251" in file.read_text(encoding="utf-8")]
    assert excused == ["clients/clock.py"]


def test_the_linter_leaves_no_room_out() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        lint = tomllib.load(file)["tool"]["ruff"]["lint"]
    assert lint["select"] == ["ALL"]
    assert not {"TID", "TID251"} & set(lint["ignore"])
    excused = [pattern for pattern, rules in lint["per-file-ignores"].items() if {"TID", "TID251"} & set(rules)]
    assert excused == []
