"""What have the steps of a turn used so far? Their recorded results say so, and every replay adds up the same."""

from typing import Any, cast

from domain import wire
from domain.money.overheads import StepResources
from orchestrators.context import Steps


class StepCosts:
    """Adds up `spent` of the steps' results. The result of a timer or an event has none."""

    def __init__(self) -> None:
        self.spent = StepResources()

    def track[T](self, steps: Steps[T]) -> Steps[T]:
        """Run the steps to their end, and add up their results."""
        result, failure = None, None
        while True:
            try:
                task = steps.throw(failure) if failure else steps.send(result)
            except StopIteration as end:
                return cast("T", end.value)
            result, failure = None, None
            try:
                result = yield task
            except Exception as error:  # noqa: BLE001 - the orchestration decides what follows a failed step
                failure = error
            else:
                self.add_result(result)

    def add_result(self, result: Any) -> None:
        for each in cast("list[Any]", result) if isinstance(result, list) else [result]:
            spent = cast("dict[str, Any]", each).get("spent") if isinstance(each, dict) else None
            if spent:
                self.spent = self.spent.and_step(spent["units"], spent["seconds"])

    def for_settle(self) -> dict[str, wire.SpentWire]:
        """Return what the settle step is given; nothing where no result had `spent`."""
        spent = self.spent
        if not spent.executions:
            return {}
        return {"spent": {"units": spent.units, "seconds": spent.seconds, "executions": spent.executions}}
