"""How does a test run random histories in virtual time, so that a failure names its seed?"""

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from tests.fakes.clocks import InstantLoop

MOST_SEEDS = 1000


class History(Protocol):
    """One history: `run` plays it, and `judge` raises AssertionError where it broke a rule."""

    seed: int

    async def run(self) -> None: ...

    async def judge(self) -> None: ...


class Noting(AbstractContextManager[None]):
    """Adds a note to every error that passes."""

    def __init__(self, note: str) -> None:
        self.note = note

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error:
            error.add_note(self.note)


class NamedSeed(Noting):
    """Seeds the jitter between the tries of a write, and adds the seed to every error that passes."""

    def __init__(self, seed: int) -> None:
        super().__init__(f"seed {seed}")
        random.seed(seed)


def judged[H: History](history: H) -> H:
    """Run and judge a history. Raises AssertionError where a rule is broken; its note names the seed."""
    with NamedSeed(history.seed), asyncio.Runner(loop_factory=InstantLoop) as runner:
        runner.run(history.run())
        runner.run(history.judge())
    return history


def first_failure(simulate: Callable[[int], object]) -> int | None:
    """Return the seed of the first history that breaks a rule; None where none of many does."""
    for seed in range(MOST_SEEDS):
        try:
            simulate(seed)
        except AssertionError:
            return seed
    return None
