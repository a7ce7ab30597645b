"""How does a talk become long quickly? Turns are admitted and ended, and no model is asked."""

from collections.abc import Sequence
from copy import replace
from dataclasses import dataclass

from api.turns.history import index_after
from clients.clock import Clock
from domain.content.items import Item, Role
from domain.identity.owners import Owner
from domain.ids import member_id, thread_of
from domain.log.events import EventKind, LogEvent, ResponseStatus
from domain.turns.history_index import HistoryIndex, lasting_in
from domain.turns.response import Response, ResponseHistory, ResponseOptions
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.fakes.worlds import OWNER

WORDS = "of herons and otters by the river "


class RisingClock(FakeClock):
    """Its tokens begin with the time, as the real clock's do; no two have the same."""

    def token(self) -> str:
        self.advance(0.001)
        return f"{round(self.time * 1000):012x}{self.random.getrandbits(48):012x}"


@dataclass(slots=True, kw_only=True)
class Talk:
    """A conversation, or a chain where `conversation` is empty, that grows turn by turn."""

    turns: TurnStore
    clock: Clock
    owner: Owner = OWNER
    conversation: str = ""
    last: Response | None = None

    async def grow(self, count: int, *, times: int = 3) -> None:
        """Say so many turns, each with its number and so many times a few words."""
        for number in range(count):
            await self.say([Item(id="", role=Role.USER, text=f"{number} {WORDS * times}")])

    async def say(self, items: Sequence[Item]) -> Response:
        """Let one turn be said; it has no answer, and its conversation keeps it."""
        start = await self.following()
        thread = thread_of(self.conversation or (self.last.id if self.last else "")) or self.clock.token()
        said = tuple(replace(item, id=member_id("msg", thread=thread, token=self.clock.token())) for item in items)
        before = start.history.index
        index = replace(before, lasting=before.lasting + lasting_in(said)) if before else None
        response = replace(
            start,
            id=member_id("resp", thread=thread, token=self.clock.token()),
            input_items=tuple(item.id for item in said),
            history=replace(start.history, index=index),
        )
        await self.turns.admit(response, said, (LogEvent(kind=EventKind.CREATED),))
        self.last = await self.turns.finish(self.owner, response.id, status=ResponseStatus.COMPLETED)
        return self.last

    async def following(self) -> Response:
        now = self.clock.now()
        bare = Response(
            id="",
            owner=self.owner,
            created_at=now,
            deadline_at=now + 900,
            options=ResponseOptions(model="model"),
        )
        if not self.conversation:
            index = index_after(self.last) if self.last else HistoryIndex(depth=0)
            previous = self.last.id if self.last else None
            return replace(bare, history=ResponseHistory(previous=previous, index=index))
        found = await self.turns.conversations.read(self.owner, self.conversation)
        index = HistoryIndex(depth=found.next_entry, lasting=found.lasting or ())
        entries = found.next_entry
        history = ResponseHistory(conversation=self.conversation, reads_before=entries, index=index)
        return replace(bare, history=history)
