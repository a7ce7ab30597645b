"""May a turn begin that waits for the turns before it?"""

from collections.abc import Awaitable, Callable

from clients.clock import Clock
from domain import wire
from domain.errors import Locked, Terminal
from domain.log.events import ResponseStatus
from domain.turns.response import Response
from state.turns.conversation_lock import enter_conversation
from state.turns.responses import TurnStore

SHORTEST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0
WAIT_GROWTH = 1.5
EXPIRED = "The deadline passed while the turn waited for the response that ran before it."
ENTERED: wire.EnteredWire = {"delay_s": 0.0, "code": "", "message": ""}

type PlanWaiting = Callable[[Response], Awaitable[Response]]
"""Returns the turn with its history; raises Locked while another turn runs, Terminal where it can't begin any more."""


class Enter:
    """Gives a conversation to the turn that is first in line. Safe to repeat: a turn enters once."""

    def __init__(self, *, turns: TurnStore, plan: PlanWaiting, clock: Clock) -> None:
        self.turns = turns
        self.plan = plan
        self.clock = clock

    async def enter(self, request: wire.EnterWire) -> wire.EnteredWire:
        found = await self.turns.document(wire.owner_from_wire(request), request["response"])
        response = found.read_with_id(Response.from_document)
        if response.status is not ResponseStatus.QUEUED or not response.history.waits_for:
            return ENTERED
        left_s = response.deadline_at - self.clock.now()
        if left_s <= 0:
            return {"delay_s": 0.0, "code": "server_error", "message": EXPIRED}
        try:
            if await enter_conversation(self.turns.store, found, await self.plan(response)):
                return ENTERED
        except Locked:
            pass
        except Terminal as error:
            return {"delay_s": 0.0, "code": "invalid_prompt", "message": str(error)}
        return {"delay_s": min(wait_s(request["waits"]), left_s), "code": "", "message": ""}


def wait_s(waits: int) -> float:
    """Return the seconds until the next try after so many waits."""
    return min(SHORTEST_WAIT_S * WAIT_GROWTH ** min(waits, 20), LONGEST_WAIT_S)
