"""May a turn begin that waits for the turns before it, or for an answer that it can take over?"""

from collections.abc import Awaitable, Callable

from clients.clock import Clock
from clients.storage.port import Document
from domain import wire
from domain.errors import Locked, Terminal
from domain.log.events import ResponseStatus
from domain.turns.cache_use import TAKEN_OVER
from domain.turns.response import Response
from state.turns.cached_answers import EXECUTION as CACHE
from state.turns.cached_answers import CachedAnswers, Reuse
from state.turns.conversation_lock import enter_conversation
from state.turns.responses import TurnStore

SHORTEST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0
WAIT_GROWTH = 1.5
EXPIRED = "The deadline passed while the turn waited for the response that ran before it."

ENTERED: wire.EnteredWire = {"delay_s": 0.0, "code": "", "message": ""}
TOOK: wire.EnteredWire = {"delay_s": 0.0, "code": TAKEN_OVER, "message": ""}

type PlanWaiting = Callable[[Response], Awaitable[Response]]
"""Returns the turn with its history; raises Locked while another turn runs, Terminal where it can't begin any more."""


class Enter:
    """Gives a conversation to the turn that is first in line. Safe to repeat: a turn enters once."""

    def __init__(self, *, turns: TurnStore, answers: CachedAnswers, plan: PlanWaiting, clock: Clock) -> None:
        self.turns = turns
        self.answers = answers
        self.plan = plan
        self.clock = clock

    async def enter(self, request: wire.EnterWire) -> wire.EnteredWire:
        found = await self.turns.document(wire.owner_from_wire(request), request["response"])
        response = found.read_with_id(Response.from_document)
        if response.status is not ResponseStatus.QUEUED:
            return TOOK if response.progress.execution == CACHE else ENTERED
        if not (response.history.waits_for or response.options.cache):
            return ENTERED
        left_s = response.deadline_at - self.clock.now()
        if left_s <= 0:
            return {"delay_s": 0.0, "code": "server_error", "message": EXPIRED}
        tried = await (self.enter_line(found, response) if response.history.waits_for else self.take_answer(response))
        return tried or {"delay_s": min(wait_s(request["waits"]), left_s), "code": "", "message": ""}

    async def enter_line(self, found: Document, response: Response) -> wire.EnteredWire | None:
        """Give a turn its conversation; None while another turn has it."""
        try:
            is_entered = await enter_conversation(self.turns.store, found, await self.plan(response))
        except Locked:
            return None
        except Terminal as error:
            return {"delay_s": 0.0, "code": "invalid_prompt", "message": str(error)}
        return ENTERED if is_entered else None

    async def take_answer(self, response: Response) -> wire.EnteredWire | None:
        """Take over the answer of another turn; None while that turn runs, whose end wakes this one."""
        reuse, _ = await self.answers.reuse(response)
        return {Reuse.ASKS: ENTERED, Reuse.TOOK: TOOK, Reuse.WAITS: None}[reuse]


def wait_s(waits: int) -> float:
    """Return the seconds until the next try after so many waits."""
    return min(SHORTEST_WAIT_S * WAIT_GROWTH ** min(waits, 20), LONGEST_WAIT_S)
