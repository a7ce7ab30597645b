"""Which history does a new turn continue, and how much of it fits into the context window?"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from copy import replace

from msgspec import Struct

from api.parsing.responses_request import TurnRequest
from domain.content.call_pairs import calls_without_result, results_without_call
from domain.content.items import SERVER_CALLS, Item
from domain.content.result_images import asked_images
from domain.content.tools import ToolConfig
from domain.errors import Invalid, Locked, NotFound
from domain.identity.owners import Owner
from domain.turns.context_window import Turn, WindowRoom, items_read, turns_to_leave_out
from domain.turns.conversations import PREFIXES
from domain.turns.history_index import BLOCK, HistoryIndex, lasting_in
from domain.turns.old_results import results_in, results_to_leave_out, without_results
from domain.turns.response import Response, ResponseHistory, ResponseOptions
from state.turns.conversations import WHEN_LOCKED, ConversationStore, locked_error
from state.turns.history import MANY, present
from state.turns.responses import TurnStore

CALLS_OF_TOOLS = tuple(f"{PREFIXES[kind]}_" for kind in SERVER_CALLS)
"""What the ids of calls of servers' tools begin with."""


class ModelInput(Struct, frozen=True, kw_only=True):
    """What a model reads of a conversation: `items`, without the oldest `left_out` turns and `results_out` results.

    `images` counts the images of the whole window. The conversation's part ends before the entry `reads_before`.
    `is_wide`: by the estimate, more would have been left out. `is_tainted` is that of its window.
    """

    items: Turn
    left_out: int
    results_out: int
    images: int
    reads_before: int
    history_index: HistoryIndex | None
    is_wide: bool = False
    is_tainted: bool = False


class HistoryWindow(Struct, frozen=True, kw_only=True):
    """The turns before a new turn, oldest first, as far back as they may fit; `older` turns were not read.

    `lasting` are the system and developer messages of the older turns. The conversation's part ends before the entry
    `reads_before`. `index` is the new turn's history index without its own input; None where the history was stored
    without one and has to be read as a whole.
    `is_tainted`: an earlier turn has read results that are not trusted, or a call in the window was deleted.
    """

    turns: Sequence[Turn] = ()
    older: int = 0
    lasting: Turn = ()
    reads_before: int = 0
    index: HistoryIndex | None = None
    is_tainted: bool = False

    def fit(self, request: TurnRequest, items: Sequence[Item], *, room: WindowRoom) -> ModelInput:
        """Return what a model with this `room` reads of the window and of the new turn's items."""
        taken = room.size_of_new(tuple(items), request.instructions or "") + room.size_of(self.lasting)
        results_out = results_to_leave_out(self.turns, room=replace(room, tokens=room.tokens - taken))
        slim = replace(self, turns=without_results(self.turns, results_out))
        left_out = slim.left_out(request, items, room=room)
        unread = self.turns[: max(left_out - self.older, 0)]
        return ModelInput(
            items=slim.items_with(items, left_out=left_out),
            left_out=left_out,
            results_out=max(results_out - results_in(unread), 0),
            images=asked_images(self.items_with(items, left_out=0)),
            reads_before=self.reads_before,
            history_index=self.index_with(items),
            is_tainted=self.is_tainted,
        )

    def left_out(self, request: TurnRequest, items: Sequence[Item], *, room: WindowRoom) -> int:
        """Return how many of the oldest turns do not fit."""
        instructions = request.instructions or ""
        room = replace(room, tokens=room.tokens - room.size_of(self.lasting))
        return self.older + turns_to_leave_out(self.turns, tuple(items), instructions=instructions, room=room)

    def items_with(self, items: Sequence[Item], *, left_out: int) -> Turn:
        """Return what a model reads where the oldest `left_out` turns are left out."""
        if not self.older:
            return items_read(self.turns, tuple(items), left_out=left_out)
        left_out = max(left_out - self.older, 0) + 1
        return items_read((self.lasting, *self.turns), tuple(items), left_out=left_out)

    def check_calls(self, request: TurnRequest, items: Sequence[Item]) -> None:
        """Raise Invalid for a function call without its result, or a result without its call.

        The call of a result may be in a turn that was not read.
        """
        stored = [item for turn in self.turns for item in turn]
        for item in calls_without_result(items, stored):
            field = request.input_field
            message = f"No tool output found for function call '{item.call_id}': send its output in '{field}'."
            raise Invalid(message, field=field, code="invalid_value")
        for index in () if self.older else results_without_call(items, stored):
            message = f"No tool call found for function call output with call_id '{items[index].call_id}'."
            raise Invalid(message, field=call_path(request.input_field, index), code="invalid_value")

    def index_with(self, items: Sequence[Item]) -> HistoryIndex | None:
        """Return the history index of the new turn, its own input included."""
        return replace(self.index, lasting=self.index.lasting + lasting_in(items)) if self.index else None


class HistoryLoader:
    """Loads the history that a new turn continues; the turn before must have ended."""

    def __init__(self, turns: TurnStore, conversations: ConversationStore) -> None:
        self.turns = turns
        self.conversations = conversations

    async def load(
        self, owner: Owner, request: TurnRequest, items: Sequence[Item] = (), *, room: WindowRoom | None = None
    ) -> HistoryWindow:
        """Return the history of a turn as far back as it fits into `room` beside `items`; without a room, all of it.

        Raises Invalid (unknown), Locked (still running) and NotFound (no such conversation).
        """
        if request.conversation:
            start = await self.in_conversation(owner, request.conversation, request)
        elif request.previous:
            start = await self.after_previous(owner, request.previous, request)
        else:
            return HistoryWindow(index=HistoryIndex(depth=0))
        return await self.read_back(start, request, items, room=room)

    async def in_conversation(self, owner: Owner, identifier: str, request: TurnRequest) -> Response:
        """Return a placeholder turn at the end of a conversation, from which the history is read back."""
        conversation = await self.conversations.read(owner, identifier)
        if not request.ignores_lock and not conversation.is_free_for(request.waits_as):
            raise locked_error(conversation)
        entries, lasting = conversation.next_entry, conversation.lasting
        index = None if lasting is None else HistoryIndex(depth=entries, lasting=lasting)
        history = ResponseHistory(conversation=identifier, reads_before=entries, index=index)
        return placeholder(owner, identifier, history, is_tainted=conversation.is_tainted)

    async def after_previous(self, owner: Owner, identifier: str, request: TurnRequest) -> Response:
        """Return a placeholder turn after a response, from which the history is read back."""
        try:
            previous = await self.turns.read(owner, identifier)
        except NotFound:
            raise previous_not_found(identifier) from None
        if not previous.is_readable:
            raise previous_not_found(identifier)
        if not previous.status.is_terminal and not request.ignores_lock:
            message = f"Response with id '{identifier}' is still running. {WHEN_LOCKED}"
            raise Locked(message, field="previous_response_id", running=identifier)
        history = ResponseHistory(previous=identifier, index=index_after(previous))
        return placeholder(owner, identifier, history, is_tainted=previous.options.tool_config.is_tainted)

    async def read_back(
        self, start: Response, request: TurnRequest, items: Sequence[Item], *, room: WindowRoom | None
    ) -> HistoryWindow:
        """Read turns, the newest first, until one does not fit."""
        history, index = self.turns.history_reader, start.history.index
        names = index.lasting if index else ()
        (lasting,) = present((names,), await history.existing_items(start.owner, names))
        is_tainted = start.options.tool_config.is_tainted
        window = HistoryWindow(reads_before=start.history.reads_before, index=index, is_tainted=is_tainted)
        read, size = set[str](), 0
        if room is not None:
            size = await measured(room, lambda: room.size_of_new(tuple(items), request.instructions or ""))
        async for block in history.earlier_turns(start, most=BLOCK if index and room is not None else MANY):
            found = await history.existing_items(start.owner, [name for turn in block for name in turn])
            turns = present(block, found)
            is_tainted |= has_deleted_call(block, found)
            window = replace(window, turns=(*turns, *window.turns), is_tainted=is_tainted)
            if index is None or room is None:
                continue
            read |= found.keys()
            older = tuple(item for item in lasting if item.id not in read)
            slim = without_results((*turns, ()), MANY)
            size += await measured(room, lambda slim=slim: sum(map(room.size_of, slim)))
            if window.turns and size + await measured(room, lambda older=older: room.size_of(older)) > room.tokens:
                return replace(window, lasting=older, older=max(index.depth - len(window.turns), 0))
        return window


def has_deleted_call(block: Sequence[Sequence[str]], found: Collection[str]) -> bool:
    """Tell whether a call of a server's tool was deleted. Nobody knows its server any more; its result was read."""
    return any(name.startswith(CALLS_OF_TOOLS) and name not in found for turn in block for name in turn)


async def measured[T](room: WindowRoom, work: Callable[[], T]) -> T:
    """Return what `work` finds. A tokenizer works in a thread, without the interpreter's lock."""
    return await asyncio.to_thread(work) if room.is_counted else work()


def call_path(field: str, index: int) -> str:
    """Return the path of the call id of an input item; a chat's message may have several items."""
    return f"{field}[{index}].call_id" if field == "input" else field


def index_after(previous: Response) -> HistoryIndex | None:
    """Return the history index of a turn that continues another, without its own input."""
    index = previous.history.index
    if index is None:
        return None
    begins = bool(previous.history.conversation) or index.begins_block()
    return replace(index, depth=index.depth + 1, anchor=previous.id if begins else index.anchor)


def placeholder(owner: Owner, identifier: str, history: ResponseHistory, *, is_tainted: bool) -> Response:
    """Return a turn that does not exist yet, as the start from which a history is read back."""
    return Response(
        id=identifier,
        owner=owner,
        created_at=0.0,
        deadline_at=0.0,
        options=ResponseOptions(model="", tool_config=ToolConfig(is_tainted=is_tainted)),
        history=history,
    )


def previous_not_found(response_id: str) -> Invalid:
    message = f"Previous response with id '{response_id}' not found."
    return Invalid(message, field="previous_response_id", code="previous_response_not_found")
