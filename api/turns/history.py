"""Which history does a new turn continue, and how much of it fits into the context window?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from api.parsing.responses_request import TurnRequest
from domain.content.items import Item
from domain.errors import Invalid, NotFound
from domain.fleet.token_estimates import tokens_in_request
from domain.identity.owners import Owner
from domain.turns.context_window import Turn, items_read, size_of, turns_to_leave_out
from domain.turns.history_index import BLOCK, HistoryIndex, lasting_in
from domain.turns.response import Response, ResponseHistory, ResponseOptions
from state.turns.conversations import ConversationStore, locked_error
from state.turns.history import MANY, present
from state.turns.responses import TurnStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """What a model reads of a conversation: `items`, without the oldest `left_out` turns.

    `images` counts the images of the whole window. The conversation's part ends before the entry `reads_before`.
    """

    items: Turn
    left_out: int
    images: int
    reads_before: int
    history_index: HistoryIndex | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryWindow:
    """The turns before a new turn, oldest first, as far back as they may fit; `older` turns were not read.

    `lasting` are the system and developer messages of the older turns. The conversation's part ends before the entry
    `reads_before`. `index` is the new turn's history index without its own input; None where the history was stored
    without one and has to be read as a whole.
    """

    turns: Sequence[Turn] = ()
    older: int = 0
    lasting: Turn = ()
    reads_before: int = 0
    index: HistoryIndex | None = None

    def fit(self, request: TurnRequest, items: Sequence[Item], *, room: int) -> ModelInput:
        """Return what a model with `room` for so many tokens reads of the window and of the new turn's items."""
        left_out = self.left_out(request, items, room=room)
        return ModelInput(
            items=self.items_with(items, left_out=left_out),
            left_out=left_out,
            images=sum(len(item.images) for item in self.items_with(items, left_out=0)),
            reads_before=self.reads_before,
            history_index=self.index_with(items),
        )

    def left_out(self, request: TurnRequest, items: Sequence[Item], *, room: int) -> int:
        """Return how many of the oldest turns do not fit."""
        instructions = request.instructions or ""
        room -= size_of(self.lasting)
        return self.older + turns_to_leave_out(self.turns, tuple(items), instructions=instructions, room=room)

    def items_with(self, items: Sequence[Item], *, left_out: int) -> Turn:
        """Return what a model reads where the oldest `left_out` turns are left out."""
        if not self.older:
            return items_read(self.turns, tuple(items), left_out=left_out)
        left_out = max(left_out - self.older, 0) + 1
        return items_read((self.lasting, *self.turns), tuple(items), left_out=left_out)

    def index_with(self, items: Sequence[Item]) -> HistoryIndex | None:
        """Return the history index of the new turn, its own input included."""
        return replace(self.index, lasting=self.index.lasting + lasting_in(items)) if self.index else None


class HistoryLoader:
    """Loads the history that a new turn continues; the turn before must have ended."""

    def __init__(self, turns: TurnStore, conversations: ConversationStore) -> None:
        self.turns = turns
        self.conversations = conversations

    async def load(
        self, owner: Owner, request: TurnRequest, items: Sequence[Item] = (), *, room: int | None = None
    ) -> HistoryWindow:
        """Return the history of a turn as far back as it fits into `room` beside `items`; without a room, all of it.

        Raises Invalid (unknown, still running) and NotFound (no such conversation).
        """
        if request.conversation:
            start = await self.in_conversation(owner, request.conversation)
        elif request.previous:
            start = await self.after_previous(owner, request.previous)
        else:
            return HistoryWindow(index=HistoryIndex(depth=0))
        return await self.read_back(start, request, items, room=room)

    async def in_conversation(self, owner: Owner, identifier: str) -> Response:
        """Return a placeholder turn at the end of a conversation, from which the history is read back."""
        conversation = await self.conversations.read(owner, identifier)
        if conversation.running:
            raise locked_error(conversation)
        entries, lasting = conversation.next_entry, conversation.lasting
        index = None if lasting is None else HistoryIndex(depth=entries, lasting=lasting)
        history = ResponseHistory(conversation=identifier, reads_before=entries, index=index)
        return placeholder(owner, identifier, history)

    async def after_previous(self, owner: Owner, identifier: str) -> Response:
        """Return a placeholder turn after a response, from which the history is read back."""
        try:
            previous = await self.turns.read(owner, identifier)
        except NotFound:
            raise previous_not_found(identifier) from None
        if not previous.status.is_terminal:
            message = f"Response with id '{identifier}' is still running; continue it after it has ended."
            raise Invalid(message, field="previous_response_id", code="conversation_locked")
        history = ResponseHistory(previous=identifier, index=index_after(previous))
        return placeholder(owner, identifier, history)

    async def read_back(
        self, start: Response, request: TurnRequest, items: Sequence[Item], *, room: int | None
    ) -> HistoryWindow:
        """Read turns, the newest first, until one does not fit."""
        history, index = self.turns.history_reader, start.history.index
        names = index.lasting if index else ()
        (lasting,) = present((names,), await history.existing_items(start.owner, names))
        window = HistoryWindow(reads_before=start.history.reads_before, index=index)
        read, size = set[str](), tokens_in_request([request.instructions or "", *(item.text for item in items)]).likely
        async for block in history.earlier_turns(start, most=BLOCK if index and room is not None else MANY):
            found = await history.existing_items(start.owner, [name for turn in block for name in turn])
            turns = present(block, found)
            window = replace(window, turns=(*turns, *window.turns))
            if index is None or room is None:
                continue
            read |= found.keys()
            older = tuple(item for item in lasting if item.id not in read)
            size += sum(map(size_of, turns))
            if window.turns and size + size_of(older) > room:
                return replace(window, lasting=older, older=max(index.depth - len(window.turns), 0))
        return window


def index_after(previous: Response) -> HistoryIndex | None:
    """Return the history index of a turn that continues another, without its own input."""
    index = previous.history.index
    if index is None:
        return None
    begins = bool(previous.history.conversation) or index.begins_block()
    return replace(index, depth=index.depth + 1, anchor=previous.id if begins else index.anchor)


def placeholder(owner: Owner, identifier: str, history: ResponseHistory) -> Response:
    """Return a turn that does not exist yet, as the start from which a history is read back."""
    return Response(
        id=identifier,
        owner=owner,
        created_at=0.0,
        deadline_at=0.0,
        options=ResponseOptions(model=""),
        history=history,
    )


def previous_not_found(response_id: str) -> Invalid:
    message = f"Previous response with id '{response_id}' not found."
    return Invalid(message, field="previous_response_id", code="previous_response_not_found")
