"""What have the steps of a turn used so far? Their recorded results say so, and every replay adds up the same."""

from typing import Any, cast

from domain import wire
from domain.money.overheads import StepResources
from domain.packed_wire import plain_result
from orchestrators.context import Steps


class StepCosts:
    """Adds up `spent` of the steps' results. The result of a timer or an event has none.

    `results` counts the results and failures in the present history.
    """

    def __init__(self) -> None:
        self.spent = StepResources()
        self.results = 0

    def take_over(self, spent: wire.SpentWire | None) -> None:
        """Begin with what the turn's earlier histories have used."""
        self.spent = StepResources.from_wire(spent)

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
                result = plain_result((yield task))
            except Exception as error:  # noqa: BLE001 - the orchestration decides what follows a failed step
                failure = error
                self.results += 1
            else:
                self.add_result(result)

    def add_result(self, result: Any) -> None:
        results = cast("list[Any]", result) if isinstance(result, list) else [result]
        self.results += len(results)
        for each in results:
            spent = cast("dict[str, Any]", each).get("spent") if isinstance(each, dict) else None
            if spent:
                self.spent = self.spent.and_step(spent["units"], spent["seconds"])

    def for_settle(self) -> dict[str, wire.SpentWire]:
        """Return what the settle step is given; nothing where no result had `spent`."""
        spent = self.spent
        if not spent.executions:
            return {}
        return {"spent": {"units": spent.units, "seconds": spent.seconds, "executions": spent.executions}}
