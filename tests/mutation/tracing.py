"""Which tests run which lines of a module? Only these can notice a defect there."""

import ast
import json
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

TOOL = 4
"""A number of `sys.monitoring` that no debugger, profiler or coverage tool takes."""

HEADS = (ast.If, ast.While, ast.For, ast.With)


@dataclass(slots=True, kw_only=True)
class TracedTest:
    """A test of the unchanged module, with the lines of the module that it runs."""

    id: str
    file: str
    seconds: float
    has_examples: bool
    lines: list[int]


@dataclass(slots=True)
class LineTracer:
    """A plugin of pytest that notes the lines of one file that each test runs."""

    path: str
    tests: list[TracedTest] = field(default_factory=list[TracedTest])
    current: set[int] = field(default_factory=set[int])

    def start(self) -> None:
        sys.monitoring.use_tool_id(TOOL, "mutation")
        sys.monitoring.register_callback(TOOL, sys.monitoring.events.LINE, self.see)
        sys.monitoring.set_events(TOOL, sys.monitoring.events.LINE)

    def see(self, code: CodeType, line: int) -> Any:
        if code.co_filename == self.path:
            self.current.add(line)
        return sys.monitoring.DISABLE

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.current = set()
        sys.monitoring.restart_events()
        began = time.monotonic()
        result = yield
        self.tests.append(
            TracedTest(
                id=item.nodeid,
                file=str(item.path),
                seconds=time.monotonic() - began,
                has_examples=is_property(item),
                lines=sorted(self.current),
            )
        )
        return result

    def text(self) -> str:
        """Return what was noted, for the process that forked this one."""
        return json.dumps([[one.id, one.file, one.seconds, one.has_examples, one.lines] for one in self.tests])


def is_property(item: pytest.Item) -> bool:
    return bool(getattr(getattr(item, "obj", None), "is_hypothesis_test", False))


def tests_from_text(text: str) -> tuple[TracedTest, ...]:
    names = ("id", "file", "seconds", "has_examples", "lines")
    return tuple(TracedTest(**dict(zip(names, one, strict=True))) for one in json.loads(text))


def tests_of(tests: tuple[TracedTest, ...], lines: range | None) -> list[TracedTest]:
    """Return the tests that run one of `lines`, the fastest first: all of them for what runs at import."""
    chosen = [one for one in tests if lines is None or not set(lines).isdisjoint(one.lines)]
    return sorted(chosen, key=lambda one: one.seconds)


def lines_of(tree: ast.Module, node: ast.AST) -> range | None:
    """The lines of the statement that a node belongs to, without those of its body; None if it runs at import."""
    way = way_to(tree, node)
    functions = [one for one in way if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    if not functions or any(one in ast.walk(functions[0].args) for one in way):
        return None
    statement = [one for one in way if isinstance(one, ast.stmt)][-1]
    last = statement.end_lineno or statement.lineno
    if isinstance(statement, HEADS):
        last = max(statement.lineno, statement.body[0].lineno - 1)
    return range(statement.lineno, last + 1)


def way_to(tree: ast.AST, node: ast.AST) -> list[ast.AST]:
    """The nodes from the root to a node; empty if it is not there."""
    if tree is node:
        return [tree]
    for child in ast.iter_child_nodes(tree):
        if way := way_to(child, node):
            return [tree, *way]
    return []


@dataclass(slots=True)
class ChosenTests:
    """A plugin of pytest that runs the chosen tests alone, in the given order, and notes the one that failed."""

    ids: list[str]
    notes: Path

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        places = {one: number for number, one in enumerate(self.ids)}
        items[:] = sorted((one for one in items if one.nodeid in places), key=lambda one: places[one.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.notes.write_text(report.nodeid, encoding="utf-8")
