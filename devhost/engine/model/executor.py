"""How does the engine call user code, and how much of it runs at the same time?"""

from dataclasses import dataclass
from typing import Protocol

from devhost.engine.model.commands import Completed, Decision, Failed
from devhost.engine.model.work_items import Batch, BatchOutcome, Turn, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many orchestrator turns, activities and entities run at once.

    What was lost with its worker more than `redeliveries` times fails: an activity, a turn, an operation of an entity.
    None hands it out for ever.
    """

    turns: int
    activities: int
    entities: int = 10
    redeliveries: int | None = None
    turn_redeliveries: int | None = None
    entity_redeliveries: int | None = None


class Executor(Protocol):
    """The way to the user's code, in some protocol. Raises RedeliverError when the code must be asked again.

    A turn may raise LeaveError.
    """

    async def turn(self, turn: Turn) -> Decision: ...

    async def activity(self, work: Work) -> Completed | Failed: ...

    async def entity(self, batch: Batch) -> BatchOutcome: ...


class RedeliverError(Exception):
    """What ran was lost with its worker: hand the work out again."""


class LeaveError(Exception):
    """The instance is not for this host: it stays as it is until another comes."""
