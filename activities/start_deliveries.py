"""How are the webhook deliveries of a turn started when the turn ends?"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from clients.orchestrations import OpenOrchestrations
from domain import wire
from domain.errors import GanglionError
from state.turns.responses import TurnStore

log = logging.getLogger(__name__)

type FinishStep = Callable[[wire.FinishWire], Awaitable[wire.FinishedWire]]


class StartDeliveries:
    """Starts one orchestration for each endpoint after the step that ends a turn.

    The sweep starts those that could not be started here.
    """

    def __init__(self, turns: TurnStore, open_orchestrations: OpenOrchestrations) -> None:
        self.turns = turns
        self.open_orchestrations = open_orchestrations

    def after(self, step: FinishStep) -> Callable[[wire.FinishWire, Any], Awaitable[wire.FinishedWire]]:
        """Return the step with a second argument: the durable client of its invocation."""

        async def finish(request: wire.FinishWire, client: Any) -> wire.FinishedWire:
            finished = await step(request)
            await self.start_deliveries(request, client)
            return finished

        return finish

    async def start_deliveries(self, request: wire.FinishWire, client: Any) -> None:
        try:
            ended = await self.turns.read(wire.owner_from_wire(request), request["response"])
            for delivery in self.turns.endpoints.deliveries(ended):
                await self.open_orchestrations(client).start_delivery(delivery)
        except GanglionError as error:
            log.warning(
                "webhook deliveries of %s not started, the sweep will start them: %s", request["response"], error
            )
