"""How are the published histories of etcd read, and what does a register allow?"""

import re
from math import inf
from pathlib import Path

from tests.linearizability.checker import UNKNOWN, Operation

FOLDER = Path(__file__).parent / "published"
LINE = re.compile(r"^INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(.*)$")
NIL = -1

type Input = tuple[str, int, int]


def number(text: str) -> int:
    return NIL if text == "nil" else int(text)


def input_of(kind: str, text: str) -> Input:
    match kind:
        case "read":
            return kind, NIL, NIL
        case "write":
            return kind, number(text), NIL
        case _:
            before, after = text.strip("[]").split()
            return kind, int(before), int(after)


def history_of(path: Path) -> list[Operation]:
    """A call that failed by a time-out or has no end has an unknown outcome; only a failed CAS is known to fail."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [(at, *matched.groups()) for at, line in enumerate(lines) if (matched := LINE.match(line))]
    open_calls: dict[str, tuple[int, Input]] = {}
    history: list[Operation] = []
    for at, process, event, kind, text in found:
        if event == "invoke":
            open_calls[process] = (at, input_of(kind, text))
        elif event == "ok" or (event == "fail" and kind == "cas"):
            began, given = open_calls.pop(process)
            output = number(text) if kind == "read" else event == "ok"
            history.append(Operation(input=given, output=output, began=began, ended=at))
        elif event == "fail" and kind == "read":
            del open_calls[process]
    history += [Operation(input=given, output=UNKNOWN, began=began, ended=inf) for began, given in open_calls.values()]
    return history


def register(state: int, given: Input, output: object) -> int | None:
    """A register with compare-and-set."""
    kind, first, second = given
    match kind:
        case "read":
            return state if output in (state, UNKNOWN) else None
        case "write":
            return first
        case _:
            succeeds = state == first
            return (second if succeeds else state) if output in (succeeds, UNKNOWN) else None
