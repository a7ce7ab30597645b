"""Which mutants do the tests of a module kill? Each mutant runs in a fork of one process that has pytest loaded.

`python -m tests.mutation.runner MODULE… [--sample N] [--seed S]` prints the survivors.
"""

import argparse
import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import ModuleType
from typing import override

import hypothesis  # noqa: F401  # pyright: ignore[reportUnusedImport] - loaded once, before the forks
import pytest

from tests.mutation.mutants import Mutant, mutants_of

ROOT = Path(__file__).parents[2]
CPU_LIMIT_S = 120
"""A mutant that runs for longer is killed by it. Time of the processor: a busy machine kills no mutant."""

HANGING_S = 3600.0
CORE = (
    "domain.log.answer_events",
    "domain.log.events",
    "domain.log.resume_text",
    "domain.log.transcript",
    "domain.money.budgets",
    "domain.money.sessions.gpu_sessions",
    "domain.money.sessions.transitions",
    "domain.fleet.retry_policy",
    "domain.routing.candidates",
    "domain.routing.estimates",
    "domain.routing.filters",
    "domain.routing.model_choice",
    "domain.routing.queueing",
    "domain.routing.rent_or_buy",
    "domain.routing.router",
)


@dataclass(slots=True, kw_only=True)
class Verdicts:
    killed: int = 0
    survivors: list[str] = field(default_factory=list[str])

    @property
    def score(self) -> float:
        return self.killed / max(1, self.killed + len(self.survivors))


def path_of(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


def all_mutants(modules: Iterable[str]) -> list[Mutant]:
    return [one for name in modules for one in mutants_of(name, path_of(name).read_text(encoding="utf-8"))]


class MutantLoader(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Loads the mutant in the place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.mutant.module:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=str(path_of(fullname)))

    @override
    def get_filename(self, fullname: str) -> str:
        return str(path_of(fullname))

    @override
    def get_data(self, path: str) -> bytes:
        return self.mutant.source.encode()


def own_tests(module: str) -> list[str]:
    """The test files of its package that import the module."""
    files = sorted(Path(area_tests(module)[0]).glob("test_*.py"))
    return [str(path) for path in files if f"from {module} import" in path.read_text(encoding="utf-8")]


def area_tests(module: str) -> list[str]:
    """All tests of the module's package."""
    return [str(ROOT / "tests" / "domain" / module.split(".")[1])]


def is_killed(mutant: Mutant) -> bool:
    """Tries the module's own tests with few examples first, then all of its package."""
    own = own_tests(mutant.module)
    return (bool(own) and fails(mutant, own, "few")) or fails(mutant, area_tests(mutant.module), "repeatable")


def fails(mutant: Mutant, tests: Sequence[str], examples: str) -> bool:
    """A test fails, or does not end. The child is a fork: it loads the domain for the first time."""
    child = os.fork()
    if not child:
        run_tests(mutant, tests, examples)
    deadline = time.monotonic() + HANGING_S
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def run_tests(mutant: Mutant, tests: Sequence[str], examples: str) -> None:
    """Ends the process with the exit code of pytest."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    sys.meta_path.insert(0, MutantLoader(mutant))
    os.environ["TEST_EXAMPLES"] = examples
    plugins = [text for name in ("cacheprovider", "randomly", "xdist") for text in ("-p", f"no:{name}")]
    options = ["-x", "-q", "-o", "addopts=", "-m", "not campaign", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    code = 1
    try:
        code = int(pytest.main([*options, *plugins, *tests]))
    finally:
        os._exit(code)


def unchanged(module: str) -> Mutant:
    """The module without a defect: its tests must pass in the same way."""
    return Mutant(module=module, what="", source=ast.unparse(ast.parse(path_of(module).read_text(encoding="utf-8"))))


def judge(mutants: Sequence[Mutant]) -> Verdicts:
    """Raises AssertionError if the tests of a module fail without a defect."""
    for module in sorted({one.module for one in mutants}):
        assert not is_killed(unchanged(module)), f"the tests of {module} fail without a defect"
    verdicts = Verdicts()
    for one in mutants:
        if is_killed(one):
            verdicts.killed += 1
        else:
            verdicts.survivors.append(one.what)
            print(f"survived: {one.what}", flush=True)  # noqa: T201 - a campaign's progress
    return verdicts


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.runner", description=__doc__)
    parser.add_argument("modules", nargs="*", default=CORE)
    parser.add_argument("--sample", type=int, default=0, help="judge so many mutants, chosen by chance")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    mutants = all_mutants(given.modules)
    if given.sample:
        mutants = Random(given.seed).sample(mutants, min(given.sample, len(mutants)))  # noqa: S311 - a sample
    verdicts = judge(mutants)
    print(f"killed {verdicts.killed} of {len(mutants)}: {verdicts.score:.0%}")  # noqa: T201 - the result


if __name__ == "__main__":
    main()
