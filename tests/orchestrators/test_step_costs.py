"""Does a turn add up the costs that its steps report?"""

from collections.abc import Generator
from typing import Any

import pytest

from orchestrators.step_costs import StepCosts

type Steps = Generator[Any, Any, Any]


def result_with(units: float, seconds: float) -> dict[str, Any]:
    return {"anything": 1, "spent": {"units": units, "seconds": seconds}}


def run(costs: StepCosts, steps: Steps, *results: Any) -> Any:
    tracked = costs.track(steps)
    next(tracked)
    for result in results:
        try:
            tracked.throw(result) if isinstance(result, Exception) else tracked.send(result)
        except StopIteration as end:
            return end.value
    raise AssertionError("the steps did not end")


def three_steps() -> Steps:
    first = yield "first"
    try:
        yield "second"
    except ValueError:
        yield "instead"
    return first["anything"]


def test_results_of_single_and_of_parallel_steps_are_added_up() -> None:
    costs = StepCosts()
    assert run(costs, three_steps(), result_with(1.5, 0.1), [result_with(2.0, 3.0), result_with(0.25, 0.0)]) == 1
    assert costs.for_settle() == {"spent": {"units": 3.75, "seconds": 8.0, "executions": 6}}


def test_a_failed_step_is_thrown_into_the_steps() -> None:
    costs = StepCosts()
    assert run(costs, three_steps(), result_with(1.0, 1.0), ValueError(), "an event") == 1
    assert costs.spent.executions == 2
    with pytest.raises(KeyError):
        run(StepCosts(), three_steps(), result_with(1.0, 1.0), KeyError())


def test_results_of_an_earlier_release_have_no_costs_and_nothing_is_settled() -> None:
    costs = StepCosts()
    run(costs, three_steps(), {"anything": 1}, {"anything": 2})
    assert costs.for_settle() == {}
