"""Which random orchestration programs are there, and what does each come to when it is run plainly?

A program is JSON: `steps` of a kind and an argument, played as many `rounds` over as it says, and at the end it `fails`
or not. A place in a program has a path: that of the program, the round, the number of the step.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, cast

from hypothesis import strategies as st

type Step = list[Any]
type Program = dict[str, Any]

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=4), st.lists(st.integers(), max_size=2)
)
NAMES = st.text("abcdefgh", min_size=1, max_size=4)


def kind(name: str, argument: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), argument).map(list)


LEAVES = st.one_of(kind("echo", VALUES), kind("sleep", st.integers(0, 15)))
EVENT = kind("event", VALUES)
STEPS = st.one_of(
    LEAVES,
    kind("first", st.lists(VALUES, min_size=1, max_size=3)),
    kind("race", VALUES),
    kind("late", st.integers(0, 10)),
    kind("fails", st.integers(1, 3)),
    kind("flaky", st.integers(0, 2)),
    kind("add", st.integers(-5, 5)),
    kind("signal", st.integers(1, 5)),
    kind("status", NAMES),
)


def programs(depth: int = 2, *, fails: bool | None = None, events: bool = True) -> st.SearchStrategy[Program]:
    """`fails` None leaves the end open. Only a program whose instance id is known can wait for events."""
    step = st.one_of(STEPS, EVENT, with_all(depth, events=True)) if events else st.one_of(STEPS, with_all(depth))
    return st.fixed_dictionaries(
        {
            "steps": st.lists(st.one_of(step, children(depth - 1)) if depth > 0 else step, min_size=1, max_size=4),
            "rounds": st.integers(1, 3 if depth > 1 else 2),
            "fails": st.booleans() if fails is None else st.just(fails),
        }
    )


def with_all(depth: int, *, events: bool = False) -> st.SearchStrategy[Step]:
    tasks = st.one_of(LEAVES, EVENT) if events else LEAVES
    if depth > 0:
        tasks = st.one_of(tasks, kind("child", programs(0, fails=False, events=False)))
    return kind("all", st.lists(tasks, min_size=1, max_size=4))


def children(depth: int) -> st.SearchStrategy[Step]:
    return st.one_of(
        kind("child", programs(depth, fails=False, events=False)),
        kind("named", programs(depth, fails=False)),
        kind("tries", st.tuples(st.integers(1, 2), programs(0, fails=True, events=False)).map(list)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """Which of these it is, chance decides."""

    values: list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise:
    """An event that somebody has to raise in a round of an instance, for its program to go on."""

    instance: str
    round: int
    name: str
    value: Any


@dataclass(slots=True, kw_only=True)
class ReferenceRun:
    """Computes the results of programs without faults; `counters` are the entities' states by key."""

    counters: dict[str, int] = field(default_factory=dict[str, int])
    status: str | None = None
    raises: list[Raise] = field(default_factory=list[Raise])

    def play(self, path: str, program: Program, instance: str | None) -> list[Any]:
        return [
            self.step(f"{path}.{number}.{n}", kind, argument, instance)
            for number in range(program["rounds"])
            for n, (kind, argument) in enumerate(program["steps"])
        ]

    def step(self, path: str, kind: str, argument: Any, instance: str | None) -> Any:
        match kind:
            case "event":
                return self.event(path, argument, instance)
            case "all":
                return [self.step(f"{path}.{n}", kind, one, instance) for n, (kind, one) in enumerate(argument)]
            case "child" | "named":
                return self.play(path, argument, path if kind == "named" else None)
            case "add" | "signal":
                return self.add(path, argument)
            case _:
                return self.tries(path, *argument) if kind == "tries" else self.fixed(path, kind, argument)

    def fixed(self, path: str, kind: str, argument: Any) -> Any:
        """Only the outermost program's words are asked for."""
        if kind == "status" and path.count(".") == OUTERMOST:
            self.status = argument
        return FIXED[kind](argument)

    def event(self, path: str, value: Any, instance: str | None) -> Any:
        assert instance is not None
        number = int(path.removeprefix(instance).split(".")[1])
        self.raises.append(Raise(instance=instance, round=number, name=path, value=value))
        return value

    def tries(self, path: str, attempts: int, program: Program) -> str:
        for _ in range(attempts):
            self.play(path, program, None)
        return "child failed"

    def add(self, path: str, number: int) -> int:
        key = path.rsplit(".", 2)[0]
        self.counters[key] = self.counters.get(key, 0) + number
        return self.counters[key]


OUTERMOST = 2
FIXED: dict[str, Callable[[Any], Any]] = {
    "echo": lambda value: value,
    "sleep": lambda _: None,
    "race": lambda value: value,
    "late": lambda _: "late",
    "fails": lambda _: "gave up",
    "flaky": lambda _: "steady",
    "status": lambda _: None,
    "first": lambda values: OneOf(values=values),
}


def matches(expected: Any, found: Any) -> bool:
    if isinstance(expected, OneOf):
        return any(matches(one, found) for one in expected.values)
    if isinstance(expected, list) and isinstance(found, list):
        pairs = zip_longest(cast("list[Any]", expected), cast("list[Any]", found), fillvalue=OneOf(values=[]))
        return all(matches(one, other) for one, other in pairs)
    return json.dumps(expected) == json.dumps(found)


def program_input(path: str, program: Program) -> dict[str, Any]:
    """The input of an orchestration that runs a program."""
    return {"path": path, "program": program, "round": 0, "results": []}
