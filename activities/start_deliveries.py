"""Who begins to tell that a turn has ended?"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from clients.orchestrations import OpenOrchestrations
from domain import wire
from domain.errors import GanglionError
from state.turns.responses import TurnStore

log = logging.getLogger(__name__)

type Step = Callable[[wire.FinishWire], Awaitable[wire.FinishedWire]]


class StartDeliveries:
    """Starts what tells the endpoints, behind the step that ends turns. What can't be started the sweep starts."""

    def __init__(self, turns: TurnStore, open_orchestrations: OpenOrchestrations) -> None:
        self.turns = turns
        self.open_orchestrations = open_orchestrations

    def behind(self, step: Step) -> Callable[[wire.FinishWire, Any], Awaitable[wire.FinishedWire]]:
        """Return the step with a second argument: the durable client of its invocation."""

        async def finish(given: wire.FinishWire, client: Any) -> wire.FinishedWire:
            finished = await step(given)
            await self.announce(given, client)
            return finished

        return finish

    async def announce(self, given: wire.FinishWire, client: Any) -> None:
        try:
            ended = await self.turns.read(wire.owner_from_wire(given), given["response"])
            for each in self.turns.endpoints.deliveries(ended):
                await self.open_orchestrations(client).start_delivery(each)
        except GanglionError as error:
            log.warning("the end of %s is told later: %s", given["response"], error)
