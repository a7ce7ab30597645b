"""What does a new turn go on from, and how much of it still fits?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from api.parsing.responses_request import TurnRequest
from domain.content.items import Item
from domain.errors import Invalid, NotFound
from domain.fleet.token_estimates import tokens_in_request
from domain.identity.owners import Owner
from domain.turns.context_window import Turn, items_read, size_of, turns_to_leave_out
from domain.turns.history_index import BLOCK, HistoryIndex, lasting_in
from domain.turns.response import Response
from state.turns.conversations import ConversationStore, locked
from state.turns.history import MANY, present
from state.turns.responses import TurnStore


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryWindow:
    """The turns before a new one, oldest first, as far back as there may be room; `older` were not read.

    `lasting` is what lasts of those; the conversation's part ends before the entry `reads_before`. `track` is the new
    turn's without its own input; None where it has to be read whole.
    """

    turns: Sequence[Turn] = ()
    older: int = 0
    lasting: Turn = ()
    reads_before: int = 0
    track: HistoryIndex | None = None

    def left_out(self, asked: TurnRequest, given: Sequence[Item], *, room: int) -> int:
        """Return how many of the oldest turns have no room."""
        instructions = asked.instructions or ""
        room -= size_of(self.lasting)
        return self.older + turns_to_leave_out(self.turns, tuple(given), instructions=instructions, room=room)

    def read_with(self, given: Sequence[Item], *, left_out: int) -> Turn:
        if not self.older:
            return items_read(self.turns, tuple(given), left_out=left_out)
        left_out = max(left_out - self.older, 0) + 1
        return items_read((self.lasting, *self.turns), tuple(given), left_out=left_out)

    def track_with(self, given: Sequence[Item]) -> HistoryIndex | None:
        """Return the track of the new turn."""
        return replace(self.track, lasting=self.track.lasting + lasting_in(given)) if self.track else None


class HistoryLoader:
    """Finds what a turn goes on from; it must not be running any more."""

    def __init__(self, turns: TurnStore, conversations: ConversationStore) -> None:
        self.turns = turns
        self.conversations = conversations

    async def of(
        self, owner: Owner, asked: TurnRequest, given: Sequence[Item] = (), *, room: int | None = None
    ) -> HistoryWindow:
        """Return the past of a turn, as far back as it has room beside what is given; without a room, all of it.

        Raises Invalid (unknown, still running) and NotFound (no such conversation).
        """
        if asked.conversation:
            start = await self.in_conversation(owner, asked.conversation)
        elif asked.previous:
            start = await self.after_previous(owner, asked.previous)
        else:
            return HistoryWindow(track=HistoryIndex(depth=0))
        return await self.read_back(start, asked, given, room=room)

    async def in_conversation(self, owner: Owner, identifier: str) -> Response:
        found = await self.conversations.read(owner, identifier)
        if found.running:
            raise locked(found)
        track = None if found.lasting is None else HistoryIndex(depth=found.next_entry, lasting=found.lasting)
        return replace(
            nothing(owner), id=identifier, conversation=identifier, reads_before=found.next_entry, history_index=track
        )

    async def after_previous(self, owner: Owner, identifier: str) -> Response:
        try:
            found = await self.turns.read(owner, identifier)
        except NotFound:
            raise previous_not_found(identifier) from None
        if not found.status.terminal:
            message = f"Response with id '{identifier}' is still running; go on from it when it has ended."
            raise Invalid(message, field="previous_response_id", code="conversation_locked")
        return replace(nothing(owner), id=identifier, previous=identifier, history_index=behind(found))

    async def read_back(
        self, start: Response, asked: TurnRequest, given: Sequence[Item], *, room: int | None
    ) -> HistoryWindow:
        """Read turns, the newest first, until one has no room."""
        histories, track = self.turns.histories, start.history_index
        names = track.lasting if track else ()
        (last,) = present((names,), await histories.found(start.owner, names))
        past = HistoryWindow(reads_before=start.reads_before, track=track)
        read, size = set[str](), tokens_in_request([asked.instructions or "", *(item.text for item in given)]).likely
        async for block in histories.behind(start, most=BLOCK if track and room is not None else MANY):
            found = await histories.found(start.owner, [name for turn in block for name in turn])
            turns = present(block, found)
            past = replace(past, turns=(*turns, *past.turns))
            if track is None or room is None:
                continue
            read |= found.keys()
            older = tuple(item for item in last if item.id not in read)
            size += sum(map(size_of, turns))
            if past.turns and size + size_of(older) > room:
                return replace(past, lasting=older, older=max(track.depth - len(past.turns), 0))
        return past


def behind(previous: Response) -> HistoryIndex | None:
    """Return the track of a turn that goes on from another, without its own input."""
    track = previous.history_index
    if track is None:
        return None
    begins = bool(previous.conversation) or track.begins_block()
    return replace(track, depth=track.depth + 1, anchor=previous.id if begins else track.anchor)


def nothing(owner: Owner) -> Response:
    """Return a turn that is not there yet, to be gone back from."""
    return Response(id="", owner=owner, model="", created_at=0.0, deadline_at=0.0)


def previous_not_found(response_id: str) -> Invalid:
    message = f"Previous response with id '{response_id}' not found."
    return Invalid(message, field="previous_response_id", code="previous_response_not_found")
