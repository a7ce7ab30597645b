"""How does a call write its end to a log to which other calls write at the same time?

It reads, checks and creates the next slot, and begins again where another writer was faster. Unlike an attempt, it has
nothing that another writer could make wrong: its item is closed once, by the first writer.
"""

from clients.clock import Clock
from domain.content.items import Item, ItemStatus
from domain.identity.owners import Owner
from domain.log.answer_events import call_end_events
from domain.log.events import Slot
from domain.log.item_events import ItemResult
from domain.log.transcript import Transcript
from domain.tools.call_record import CallOutcome
from state.turns.responses import TurnStore


class CallLog:
    """Closes the items of calls."""

    def __init__(self, turns: TurnStore, clock: Clock) -> None:
        self.turns = turns
        self.clock = clock

    async def close(self, owner: Owner, response_id: str, item_id: str, outcome: CallOutcome) -> Item | None:
        """Close the item of a call and return it as it is in the log; None where the response has ended before."""
        log, writer = Transcript(), f"call:{self.clock.token()}"
        while True:
            log = await self.turns.transcript(owner, response_id, log)
            if log.ending:
                return None
            index, item = indexed_item(log, item_id)
            if item.status is not ItemStatus.IN_PROGRESS:
                return item
            result = ItemResult(output=outcome.output, error=outcome.error)
            slot = Slot(
                number=log.next_slot,
                writer=writer,
                first=log.next_sequence,
                at=self.clock.now(),
                events=call_end_events(index, result, outcome.status),
            )
            await self.turns.append(owner, response_id, slot)


def indexed_item(log: Transcript, item_id: str) -> tuple[int, Item]:
    """Return an item and its index. Raises KeyError where the log has no such item."""
    for index, item in enumerate(log.items):
        if item.id == item_id:
            return index, item
    raise KeyError(item_id)
