"""What have the steps of a turn spent so far? Their recorded results tell, so every replay adds up the same."""

from typing import Any, cast

from domain import wire
from domain.money.overheads import StepResources
from orchestrators.context import Steps


class StepCosts:
    """Adds up what the results of steps say; a timer or an event says nothing."""

    def __init__(self) -> None:
        self.spent = StepResources()

    def counted[T](self, steps: Steps[T]) -> Steps[T]:
        """Run steps to their end and note what each of their results says."""
        result, failure = None, None
        while True:
            try:
                task = steps.throw(failure) if failure else steps.send(result)
            except StopIteration as end:
                return cast("T", end.value)
            result, failure = None, None
            try:
                result = yield task
            except Exception as error:  # noqa: BLE001 - a step that failed is for the steps to judge
                failure = error
            else:
                self.note(result)

    def note(self, result: Any) -> None:
        for each in cast("list[Any]", result) if isinstance(result, list) else [result]:
            said = cast("dict[str, Any]", each).get("spent") if isinstance(each, dict) else None
            if said:
                self.spent = self.spent.and_step(said["units"], said["seconds"])

    def for_settle(self) -> dict[str, wire.SpentWire]:
        """Return what the settlement is told: nothing where the steps told nothing."""
        spent = self.spent
        if not spent.executions:
            return {}
        return {"spent": {"units": spent.units, "seconds": spent.seconds, "executions": spent.executions}}
