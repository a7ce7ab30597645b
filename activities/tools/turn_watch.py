"""How does a running call notice that its turn has ended?"""

from contextlib import suppress

from domain.errors import Retryable
from domain.identity.owners import Owner
from domain.log.events import EMPTIED_BY, EventKind
from state.turns.responses import TurnStore

POLL_S = 0.5
"""How often the log is read; a cancel promises to close within 1 s."""


class TurnWatch:
    """Follows the log of one turn from a slot on, and keeps what it has found. A deleted turn has ended."""

    def __init__(self, turns: TurnStore, owner: Owner, response_id: str, *, next_slot: int) -> None:
        self.turns = turns
        self.owner = owner
        self.response_id = response_id
        self.next_slot = next_slot
        self.has_ended = False
        self.is_deleted = False

    async def look(self) -> bool:
        """Tell whether the turn has ended by now. Raises Unavailable."""
        while not self.has_ended:
            slots = await self.turns.next_slot(self.owner, self.response_id, after=self.next_slot - 1)
            if not slots:
                break
            (slot,) = slots
            self.next_slot = slot.number + 1
            self.is_deleted = slot.writer == EMPTIED_BY
            self.has_ended = self.is_deleted or any(event.kind is EventKind.ENDED for event in slot.events)
        return self.has_ended

    async def wait_for_end(self) -> None:
        """Return when the turn has ended. While the store is unavailable, no process can end it."""
        while not self.has_ended:
            with suppress(Retryable):
                if await self.look():
                    break
            await self.turns.wait_for_slot(self.response_id, within_s=POLL_S)
