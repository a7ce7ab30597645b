"""How does a simulated program wait for a task, as in .NET?"""

from collections.abc import Callable, Coroutine, Generator


class PendingTask:
    """A task that a program awaits; continuations run inside `resolve`, as in .NET."""

    def __init__(self) -> None:
        self.done = False
        self.succeeded = False
        self.value: str | None = None
        self.continuations: list[Callable[[], None]] = []

    def resolve(self, *, succeeded: bool, value: str | None = None) -> None:
        if self.done:
            return
        self.done, self.succeeded, self.value = True, succeeded, value
        waiting, self.continuations = self.continuations, []
        for go_on in waiting:
            go_on()

    def then(self, go_on: Callable[[], None]) -> None:
        if self.done:
            go_on()
        else:
            self.continuations.append(go_on)

    def __await__(self) -> Generator["PendingTask", None, bool]:
        if not self.done:
            yield self
        return self.succeeded


def run_program(program: Coroutine[PendingTask, None, bool]) -> PendingTask:
    """Runs a program until it awaits a pending task; the rest runs when that task resolves."""
    ended = PendingTask()

    def step() -> None:
        try:
            awaited = program.send(None)
        except StopIteration as stop:
            ended.resolve(succeeded=stop.value)
        else:
            awaited.then(step)

    step()
    return ended


def resolved_task(*, succeeded: bool) -> PendingTask:
    pending = PendingTask()
    pending.resolve(succeeded=succeeded)
    return pending
