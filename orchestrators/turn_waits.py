"""On which durable timers has a turn waited? Every replay finds the same times in the recorded history."""

from typing import Any

from domain import wire
from orchestrators.context import Context, Steps
from orchestrators.steps import seconds_now

MAX_WAITS = 50
"""So many waits are reported: the settle step's input is part of the history, which stays small."""

UNKNOWN: wire.WaitReasonWire = {"backend": "", "reason": ""}


class TurnWaits:
    """Collects the waits of a turn for its settlement, where they become spans of its trace.

    `in_place`: the turn waits for approvals, instead of ending with its requests for them.
    """

    def __init__(self, *, in_place: bool = False) -> None:
        self.in_place = in_place
        self.waits: list[wire.WaitWire] = []

    def track[T](self, context: Context, reason: wire.WaitReasonWire | None, steps: Steps[T]) -> Steps[T]:
        """Run the steps of one wait, and note when it began and ended."""
        since = seconds_now(context)
        result = yield from steps
        if len(self.waits) < MAX_WAITS:
            self.waits.append({**(reason or UNKNOWN), "since": since, "until": seconds_now(context)})
        return result

    def after_attempt[T](
        self, context: Context, backend: str | None, inferred: wire.InferredWire, steps: Steps[T]
    ) -> Steps[T]:
        """Run the steps of the wait after an attempt that is to be retried."""
        return self.track(context, {"backend": backend or "", "reason": inferred.get("posture", "")}, steps)

    def for_settle(self) -> dict[str, Any]:
        """Return what the settle step is given; nothing where the turn did not wait."""
        return {"waits": self.waits} if self.waits else {}
