"""How does a call write its end to a log to which other calls write at the same time?

It reads, checks and creates the next slot, and begins again where another writer was faster. Unlike an attempt, it has
nothing that another writer could make wrong: its item is closed once, by the first writer.
"""

from clients.clock import Clock
from domain.content.items import Item, ItemStatus
from domain.content.tools import FunctionCall
from domain.identity.owners import Owner
from domain.ids import member_id, thread_of
from domain.log.answer_events import approval_request_events, call_end_events
from domain.log.events import LogEvent, Slot
from domain.log.item_events import ItemResult
from domain.log.transcript import Transcript
from domain.tools.call_record import CallOutcome
from state.turns.responses import TurnStore


class CallLog:
    """Closes the items of calls."""

    def __init__(self, turns: TurnStore, clock: Clock) -> None:
        self.turns = turns
        self.clock = clock

    async def close(
        self, owner: Owner, response_id: str, item_id: str, outcome: CallOutcome, *, asks_again: bool = False
    ) -> Item | None:
        """Close the item of a call and return it as it is in the log; None where the response has ended before.

        With `asks_again`, a request for an approval of the same call follows it.
        """
        log, writer = Transcript(), f"call:{self.clock.token()}"
        while True:
            log = await self.turns.transcript(owner, response_id, log)
            if log.ending:
                return None
            index, item = indexed_item(log, item_id)
            if item.status is not ItemStatus.IN_PROGRESS:
                return item
            result = ItemResult(output=outcome.output, error=outcome.error, whole=outcome.whole, images=outcome.images)
            asked = self.request_events(response_id, log, item) if asks_again else ()
            slot = Slot(
                number=log.next_slot,
                writer=writer,
                first=log.next_sequence,
                at=self.clock.now(),
                events=(*call_end_events(index, result, outcome.status), *asked),
            )
            await self.turns.append(owner, response_id, slot)

    def request_events(self, response_id: str, log: Transcript, item: Item) -> tuple[LogEvent, ...]:
        """Return the events of a request to run a call once more."""
        return approval_request_events(
            len(log.items),
            FunctionCall(name=item.name, arguments=item.text, server=item.server),
            item_id=member_id("mcpr", thread=thread_of(response_id) or "", token=self.clock.token()),
            call_id=f"call_{self.clock.token()}",
            number=item.round,
        )


def indexed_item(log: Transcript, item_id: str) -> tuple[int, Item]:
    """Return an item and its index. Raises KeyError where the log has no such item."""
    for index, item in enumerate(log.items):
        if item.id == item_id:
            return index, item
    raise KeyError(item_id)
