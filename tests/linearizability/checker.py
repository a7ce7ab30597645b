"""Can the operations of a concurrent history have happened one after another, each at one moment of its call?

The algorithm is that of Wing and Gong with the cache of Lowe ("Testing for Linearizability", 2017), which the checkers
Knossos and Porcupine use: a depth-first search for an order of the operations, which visits each pair of the
operations done and the state only once.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

UNKNOWN = object()
"""The output of an operation whose outcome nobody knows: it may happen at any later time, or never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One call: `began` and `ended` are moments of one clock; `ended` is infinite if the outcome is unknown."""

    input: Any
    output: Any = UNKNOWN
    began: float
    ended: float = inf


type Step[State: Hashable] = Callable[[State, Any, Any], State | None]
"""The next state after an input, or None if the output is not the one of this state."""


def is_linearizable[State: Hashable](history: Sequence[Operation], initial: State, step: Step[State]) -> bool:
    operations = sorted(history, key=lambda one: one.began)
    everything = sum(1 << n for n, one in enumerate(operations) if one.ended != inf)
    seen: set[tuple[int, State]] = set()
    paths: list[Iterator[tuple[int, State]]] = [iter([(0, initial)])]
    while paths:
        found = next(paths[-1], None)
        if found is None:
            paths.pop()
        elif found not in seen:
            seen.add(found)
            done, state = found
            if done & everything == everything:
                return True
            paths.append(following(operations, done, state, step))
    return False


def following[State: Hashable](
    operations: Sequence[Operation], done: int, state: State, step: Step[State]
) -> Iterator[tuple[int, State]]:
    """What may happen next: an operation that began before any other that is left has ended."""
    left = [(n, one) for n, one in enumerate(operations) if not done >> n & 1]
    first_end = min(one.ended for _, one in left)
    for n, one in left:
        if one.began > first_end:
            return
        after = step(state, one.input, one.output)
        if after is not None:
            yield done | 1 << n, after
