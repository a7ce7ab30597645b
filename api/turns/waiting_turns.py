"""What does a turn read that was admitted while another turn had its conversation?

It is planned a second time when its turn has come: only then its history is known, and its answers to requests for an
approval can be checked and recorded.
"""

from collections.abc import Sequence
from copy import replace

from api.parsing.responses_request import TurnRequest
from api.turns.admission_plan import AdmissionPlanner
from domain.content.items import Item
from domain.turns.response import Response
from state.turns.responses import TurnStore


class WaitingTurnPlanner:
    """Plans turns that have waited."""

    def __init__(self, *, turns: TurnStore, plans: AdmissionPlanner) -> None:
        self.turns = turns
        self.plans = plans

    async def plan(self, response: Response) -> Response:
        """Return the turn with its history.

        Raises Locked while a turn before it runs, Invalid and NotFound where it can't begin any more.
        """
        items = await self.turns.items(response.owner, response.input_items)
        request = request_of(response, items)
        plan = await self.plans.plan(response.owner, request, response.id)
        approved = await self.plans.answers.decide(response.owner, plan.answers)
        options = replace(response.options, tool_config=plan.tool_config)
        return replace(response, options=options, history=plan.history_of(request), approved=approved)


def request_of(response: Response, items: Sequence[Item]) -> TurnRequest:
    """Return the request that the turn was admitted with."""
    return TurnRequest(
        model=response.model,
        input_items=tuple(items),
        previous=response.history.previous,
        conversation=response.history.conversation,
        instructions=response.options.instructions,
        sampling=response.options.sampling,
        tool_config=response.options.tool_config,
        truncates=response.history.truncates,
        metadata=response.options.metadata,
        waits_as=response.id,
    )
