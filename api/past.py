"""What does a new turn go on from, and how much of it still fits?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from api.requests import Asked
from clients.conversations import Conversations, locked
from clients.turns import Turns
from domain.context import Turn, items_read, turns_to_leave_out
from domain.errors import Invalid, NotFound
from domain.items import Item
from domain.owners import Owner
from domain.turns import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The turns before a new one, oldest first; the conversation's part ends before the entry `reads_before`."""

    turns: Sequence[Turn] = ()
    reads_before: int = 0

    def left_out(self, asked: Asked, given: Sequence[Item], *, room: int) -> int:
        """Return how many of the oldest turns have no room."""
        return turns_to_leave_out(self.turns, tuple(given), instructions=asked.instructions or "", room=room)

    def read_with(self, given: Sequence[Item], *, left_out: int) -> Turn:
        return items_read(self.turns, tuple(given), left_out=left_out)


class Pasts:
    """Finds what a turn goes on from; it must not be running any more."""

    def __init__(self, turns: Turns, conversations: Conversations) -> None:
        self.turns = turns
        self.conversations = conversations

    async def of(self, owner: Owner, asked: Asked) -> Past:
        """Return the past of a turn; raises Invalid (unknown, still running) and NotFound (no such conversation)."""
        if asked.conversation:
            return await self.of_conversation(owner, asked.conversation)
        if asked.previous:
            return await self.of_previous(owner, asked.previous)
        return Past()

    async def of_conversation(self, owner: Owner, identifier: str) -> Past:
        found = await self.conversations.read(owner, identifier)
        if found.running:
            raise locked(found)
        return Past(turns=await self.conversations.turns(found), reads_before=found.next_entry)

    async def of_previous(self, owner: Owner, identifier: str) -> Past:
        try:
            found = await self.turns.read(owner, identifier)
        except NotFound:
            raise previous_not_found(identifier) from None
        if not found.status.terminal:
            message = f"Response with id '{identifier}' is still running; go on from it when it has ended."
            raise Invalid(message, field="previous_response_id", code="conversation_locked")
        return Past(turns=await self.turns.past(next_after(found)))


def next_after(previous: Response) -> Response:
    """Return a response that goes on from another, as far as its past is concerned."""
    return replace(previous, previous=previous.id, conversation=None, input_items=(), output_items=())


def previous_not_found(response_id: str) -> Invalid:
    message = f"Previous response with id '{response_id}' not found."
    return Invalid(message, field="previous_response_id", code="previous_response_not_found")
