"""What happens when a turn has ended? Its webhook deliveries start, and the turns that wait for it begin."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from clients.orchestrations import OpenOrchestrations, Orchestrations
from domain import wire
from domain.batches.batch_wire import BatchFinishedWire, BatchWire
from domain.batches.line_ids import ending_id
from domain.errors import GanglionError
from domain.turns.response import Response
from state.turns.responses import TurnStore
from state.webhook_outbox import WebhookOutbox

log = logging.getLogger(__name__)

type BatchStep = Callable[[BatchWire], Awaitable[BatchFinishedWire]]
type WakeBatches = Callable[[Orchestrations], Awaitable[None]]
type FinishStep = Callable[[wire.FinishWire], Awaitable[wire.FinishedWire]]


class FollowUps:
    """Starts one orchestration for each endpoint after the step that ends a turn, and wakes the next turn in line.

    The sweep starts the deliveries that could not be started here; a turn in line also looks for itself.
    """

    def __init__(
        self,
        turns: TurnStore,
        outbox: WebhookOutbox,
        open_orchestrations: OpenOrchestrations,
        wake_batches: WakeBatches | None = None,
    ) -> None:
        """`wake_batches` wakes the batches that wait for a backend which has become warm."""
        self.turns = turns
        self.outbox = outbox
        self.open_orchestrations = open_orchestrations
        self.wake_batches = wake_batches

    def after(self, step: FinishStep) -> Callable[[wire.FinishWire, Any], Awaitable[wire.FinishedWire]]:
        """Return the step with a second argument: the durable client of its invocation."""

        async def finish(request: wire.FinishWire, client: Any) -> wire.FinishedWire:
            finished = await step(request)
            await self.follow_up(request, client)
            return finished

        return finish

    async def follow_up(self, request: wire.FinishWire, client: Any) -> None:
        try:
            ended = await self.turns.read(wire.owner_from_wire(request), request["response"])
            await self.wake_next(ended, client)
            for delivery in self.turns.endpoints.deliveries(ended):
                await self.open_orchestrations(client).start_delivery(delivery)
            if self.wake_batches:
                await self.wake_batches(self.open_orchestrations(client))
        except GanglionError as error:
            log.warning(
                "webhook deliveries of %s not started, the sweep will start them: %s", request["response"], error
            )

    def after_batch(self, step: BatchStep) -> Callable[[BatchWire, Any], Awaitable[BatchFinishedWire]]:
        """Return the step that ends a batch, with its durable client as second argument."""

        async def finish(request: BatchWire, client: Any) -> BatchFinishedWire:
            finished = await step(request)
            try:
                await self.follow_batch(request, client)
            except GanglionError as error:
                log.warning("webhook deliveries of %s not started: %s", request["response"], error)
            return finished

        return finish

    async def follow_batch(self, request: BatchWire, client: Any) -> None:
        owner = wire.owner_from_wire(request)
        for delivery in await self.outbox.of(owner, ending_id(request["response"])):
            await self.open_orchestrations(client).start_delivery(delivery)

    async def wake_next(self, ended: Response, client: Any) -> None:
        """Wake all followers, and the first turn in the line of the conversation, if no turn has it now."""
        for follower in ended.progress.followers:
            await self.open_orchestrations(client).signal_turn_ended(follower)
        if ended.history.conversation is None:
            return
        conversation = await self.turns.conversations.read(ended.owner, ended.history.conversation)
        if conversation.running is None and conversation.waiting:
            await self.open_orchestrations(client).signal_turn_ended(conversation.waiting[0])
