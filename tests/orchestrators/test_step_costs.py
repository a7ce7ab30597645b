"""Does a turn add up what its steps say that they have spent?"""

from collections.abc import Generator
from typing import Any

import pytest

from orchestrators.step_costs import StepCosts

type Steps = Generator[Any, Any, Any]


def told(units: float, seconds: float) -> dict[str, Any]:
    return {"anything": 1, "spent": {"units": units, "seconds": seconds}}


def run(tab: StepCosts, steps: Steps, *results: Any) -> Any:
    counted = tab.counted(steps)
    next(counted)
    for result in results:
        try:
            counted.throw(result) if isinstance(result, Exception) else counted.send(result)
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


def test_results_of_steps_and_of_compounds_are_added_up_and_others_say_nothing() -> None:
    tab = StepCosts()
    assert run(tab, three_steps(), told(1.5, 0.1), [told(2.0, 3.0), told(0.25, 0.0)]) == 1
    assert tab.for_settle() == {"spent": {"units": 3.75, "seconds": 8.0, "executions": 6}}


def test_a_step_that_fails_is_for_the_steps_to_judge() -> None:
    tab = StepCosts()
    assert run(tab, three_steps(), told(1.0, 1.0), ValueError(), "an event") == 1
    assert tab.spent.executions == 2
    with pytest.raises(KeyError):
        run(StepCosts(), three_steps(), told(1.0, 1.0), KeyError())


def test_steps_of_an_earlier_release_tell_nothing_and_nothing_is_settled() -> None:
    tab = StepCosts()
    run(tab, three_steps(), {"anything": 1}, {"anything": 2})
    assert tab.for_settle() == {}
