"""Does a simulated program go on when, and only when, its task resolves?"""

from collections.abc import Coroutine

import pytest

from devhost.protocol_v1.replay.pending_tasks import PendingTask, resolved_task, run_program


def program(steps: list[str], *tasks: PendingTask) -> Coroutine[PendingTask, None, bool]:
    async def run() -> bool:
        results: list[bool] = []
        for number, task in enumerate(tasks):
            results.append(await task)
            steps.append(f"{number}: {results[-1]}")
        return all(results)

    return run()


def test_a_program_goes_on_inside_the_resolution_of_its_task() -> None:
    first, second, steps = PendingTask(), PendingTask(), list[str]()
    ended = run_program(program(steps, first, second))
    second.resolve(succeeded=True)
    assert (steps, ended.done) == ([], False)
    first.resolve(succeeded=True)
    assert (steps, ended.done, ended.succeeded) == (["0: True", "1: True"], True, True)


@pytest.mark.parametrize("succeeded", [True, False])
def test_a_program_ends_with_the_result_of_its_tasks(*, succeeded: bool) -> None:
    steps: list[str] = []
    ended = run_program(program(steps, resolved_task(succeeded=True), resolved_task(succeeded=succeeded)))
    assert (ended.done, ended.succeeded) == (True, succeeded)
    assert steps == ["0: True", f"1: {succeeded}"]


def test_only_the_first_resolution_counts() -> None:
    task, heard = PendingTask(), list[str | None]()
    task.then(lambda: heard.append(task.value))
    task.resolve(succeeded=True, value="first")
    task.resolve(succeeded=False, value="second")
    assert (task.succeeded, task.value, heard) == (True, "first", ["first"])


def test_what_continues_after_the_resolution_continues_at_once() -> None:
    heard: list[int] = []
    task = PendingTask()
    for number in (1, 2):
        task.then(lambda number=number: heard.append(number))
    task.resolve(succeeded=True)
    task.then(lambda: heard.append(3))
    assert heard == [1, 2, 3]
