"""Which mutants do the tests of a module kill? Each mutant runs in a fork of one process that has pytest loaded.

`python -m tests.mutation.runner MODULE… [--sample N] [--seed S]` prints the survivors.
"""

import argparse
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import override

import hypothesis
import pytest

from tests.mutation.changing import change_code
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.tracing import ChosenTests, LineTracer, TracedTest, tests_from_text, tests_of

ROOT = Path(__file__).parents[2]
HANGING_S = 3600
TRACE, SURVIVORS = "trace", "survivors"
CPU_LIMIT_S = 120
"""A mutant that runs for longer is killed by it. Time of the processor: a busy machine kills no mutant."""

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
    "domain.routing.work.durations",
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


def area_tests(module: str) -> str:
    """All tests of the module's package."""
    return str(ROOT / "tests" / "domain" / module.split(".")[1])


@dataclass(slots=True)
class Judge:
    """A plugin of pytest that collects the tests of a module once, traces them, and judges mutants in forks.

    A mutant of a function gets its code in a fork of this process; `judge_anew` loads one of what runs at import. The
    test that killed a mutant is the first to try the next.
    """

    module: str
    mutants: Sequence[Mutant]
    folder: Path
    tests: tuple[TracedTest, ...] = ()
    killers: list[str] = field(default_factory=list[str])

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Judge the mutants of functions, and write down the survivors."""
        assert not in_fork(lambda: self.traced(session)), f"the tests of {self.module} fail without a defect"
        self.tests = tests_from_text((self.folder / TRACE).read_text(encoding="utf-8"))
        loop = partial(self.run_changed, session)
        survivors = [one.what for one in self.mutants if one.lines is not None and not self.is_killed(one, loop)]
        (self.folder / SURVIVORS).write_text(json.dumps(survivors), encoding="utf-8")
        return True

    def traced(self, session: pytest.Session) -> int:
        tracer = LineTracer(str(path_of(self.module)))
        tracer.start()
        failures = self.run_items(session, tracer)
        (self.folder / TRACE).write_text(tracer.text(), encoding="utf-8")
        return failures

    def run_items(self, session: pytest.Session, plugin: object) -> int:
        """Run the items of the session, up to the first failure; return the number of failures."""
        session.config.pluginmanager.unregister(self)
        session.config.pluginmanager.register(plugin)
        with suppress(session.Failed, session.Interrupted):
            session.config.hook.pytest_runtestloop(session=session)
        return session.testsfailed

    def run_changed(self, session: pytest.Session, mutant: Mutant, chosen: ChosenTests, examples: str) -> int:
        change_code(sys.modules[self.module], mutant.source)
        hypothesis.settings.load_profile(examples)
        chosen.pytest_collection_modifyitems(session.items)
        return self.run_items(session, chosen)

    def run_anew(self, mutant: Mutant, chosen: ChosenTests, examples: str) -> int:
        return run_tests([area_tests(self.module)], examples, chosen, mutant)

    def judge_anew(self) -> list[str]:
        """Return the survivors of the mutants that have to be loaded."""
        self.tests = tests_from_text((self.folder / TRACE).read_text(encoding="utf-8"))
        return [one.what for one in self.mutants if one.lines is None and not self.is_killed(one, self.run_anew)]

    def is_killed(self, mutant: Mutant, loop: Callable[[Mutant, ChosenTests, str], int]) -> bool:
        """Tries few examples of each test that runs the changed lines, then all examples of those that draw some."""
        tests = tests_of(self.tests, mutant.lines)
        tests.sort(key=lambda one: self.killers.index(one.id) if one.id in self.killers else len(self.killers))
        rest = [one for one in tests if one.has_examples]
        return self.fails(mutant, tests, "few", loop) or self.fails(mutant, rest, "repeatable", loop)

    def fails(
        self,
        mutant: Mutant,
        tests: Sequence[TracedTest],
        examples: str,
        loop: Callable[[Mutant, ChosenTests, str], int],
    ) -> bool:
        notes = self.folder / "failed"
        notes.unlink(missing_ok=True)
        chosen = ChosenTests([one.id for one in tests], notes)
        code = in_fork(lambda: loop(mutant, chosen, examples)) if tests else 0
        if notes.exists():
            killer = notes.read_text(encoding="utf-8")
            self.killers = [killer, *(one for one in self.killers if one != killer)]
        return code != 0


def in_fork(action: Callable[[], int], *, cpu_s: int = CPU_LIMIT_S) -> int:
    """Run an action in a child of this process; return 0 if it does."""
    child = os.fork()
    if not child:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
            code = min(action(), 1)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def run_tests(files: Sequence[str], examples: str, plugin: object, mutant: Mutant | None = None) -> int:
    """Return the exit code of pytest. This process must not have loaded the domain before."""
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    if mutant is not None:
        sys.meta_path.insert(0, MutantLoader(mutant))
    os.environ["TEST_EXAMPLES"] = examples
    absent = [text for name in ("cacheprovider", "randomly", "xdist") for text in ("-p", f"no:{name}")]
    options = [
        "-x",
        "-q",
        "-o",
        "addopts=",
        "-o",
        f"timeout={HANGING_S}",
        "-m",
        "not campaign",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    ]
    return int(pytest.main([*options, *absent, *files], plugins=[plugin]))


def judge(mutants: Sequence[Mutant]) -> Verdicts:
    """Raises AssertionError if the tests of a module fail without a defect."""
    verdicts = Verdicts()
    for module in dict.fromkeys(one.module for one in mutants):
        chosen = [one for one in mutants if one.module == module]
        survivors = survivors_of(module, chosen)
        verdicts.killed += len(chosen) - len(survivors)
        verdicts.survivors += survivors
        print(f"{module}: killed {len(chosen) - len(survivors)} of {len(chosen)}", flush=True)  # noqa: T201 - progress
        for one in survivors:
            print(f"survived: {one}", flush=True)  # noqa: T201 - a campaign's progress
    return verdicts


def survivors_of(module: str, mutants: Sequence[Mutant]) -> list[str]:
    with TemporaryDirectory() as folder:
        one = Judge(module, mutants, Path(folder))
        code = in_fork(lambda: run_tests([area_tests(module)], "repeatable", one), cpu_s=HANGING_S)
        assert (one.folder / SURVIVORS).exists(), f"the tests of {module} fail without a defect ({code})"
        return json.loads((one.folder / SURVIVORS).read_text(encoding="utf-8")) + one.judge_anew()


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
