"""What happens when a turn has ended? Its webhook deliveries start, and the turns that wait for it begin."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from clients.orchestrations import OpenOrchestrations, Orchestrations
from domain import wire
from domain.approval_wire import AskedWire
from domain.batches.batch_wire import BatchFinishedWire, BatchWire
from domain.batches.line_ids import ending_id
from domain.errors import GanglionError
from domain.identity.owners import Owner
from domain.packed_wire import plain_request
from domain.tools.approval_waits import unanswered_requests
from domain.turns.response import Response
from domain.turns.webhook_events import ACTION_REQUIRED, announced_as
from state.fleet.place_wakes import PlaceWakes
from state.turns.conversation_lock import next_in_line
from state.turns.responses import TurnStore
from state.webhook_outbox import WebhookOutbox

log = logging.getLogger(__name__)

NOT_STARTED = "%s: its webhook deliveries were not started; the sweeper starts them within a minute: %s"

type InferStep = Callable[[wire.InferWire], Awaitable[wire.InferredWire]]
type AskStep = Callable[[wire.TurnWire], Awaitable[AskedWire]]
type BatchStep = Callable[[BatchWire], Awaitable[BatchFinishedWire]]
type WakeBatches = Callable[[Orchestrations], Awaitable[None]]
type AfterEvent = Callable[[Response, Orchestrations], Awaitable[None]]
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
        *,
        after_event: AfterEvent,
        wakes: PlaceWakes,
        wake_batches: WakeBatches | None = None,
    ) -> None:
        """`after_event` brings the answer of a pipeline's turn to its sink.

        `wakes` are those of turns in line for a backend, and `wake_batches` wakes the batches that wait for a backend
        which has become warm.
        """
        self.turns = turns
        self.outbox = outbox
        self.after_event = after_event
        self.open_orchestrations = open_orchestrations
        self.wakes = wakes
        self.wake_batches = wake_batches

    def waking(self, step: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        """Return a step with its durable client as second argument, which wakes turns in line while the step runs."""

        async def wakes(request: Any, client: Any) -> Any:
            async with self.wakes.sent_by(self.open_orchestrations(client).signal_place):
                return await step(request)

        return wakes

    def after(self, step: FinishStep) -> Callable[[wire.FinishWire, Any], Awaitable[wire.FinishedWire]]:
        """Return the step with a second argument: the durable client of its invocation."""

        async def finish(request: wire.FinishWire, client: Any) -> wire.FinishedWire:
            finished: wire.FinishedWire = await self.waking(step)(request, client)
            await self.follow_up(request, client)
            return finished

        return finish

    async def follow_up(self, request: wire.FinishWire, client: Any) -> None:
        try:
            ended = await self.turns.read(wire.owner_from_wire(request), request["response"])
            await self.wake_next(ended, client)
            for delivery in self.turns.endpoints.deliveries(ended):
                await self.open_orchestrations(client).start_delivery(delivery)
            if ended.options.pipeline:
                await self.after_event(ended, self.open_orchestrations(client))
            await self.announce_requests(ended.owner, requests_of(ended), client)
            if self.wake_batches:
                await self.wake_batches(self.open_orchestrations(client))
        except GanglionError as error:
            log.warning(NOT_STARTED, request["response"], error)

    def after_inferring(self, step: InferStep) -> Callable[[wire.InferWire, Any], Awaitable[wire.InferredWire]]:
        """Return the step of an attempt: deciders hear of its requests before the other calls of the round run."""

        async def infer(request: wire.InferWire, client: Any) -> wire.InferredWire:
            inferred: wire.InferredWire = await self.waking(step)(request, client)
            if inferred.get("calls"):
                turn: wire.TurnWire = plain_request(wire.INFER, request)
                try:
                    await self.announce_round(wire.owner_from_wire(turn), turn["response"], client)
                except GanglionError as error:
                    log.warning(NOT_STARTED, turn["response"], error)
            return inferred

        return infer

    async def announce_round(self, owner: Owner, response_id: str, client: Any) -> None:
        """Start the deliveries that announce the requests of a turn that waits in place."""
        if not self.turns.endpoints.wanting(owner.tenant, ACTION_REQUIRED):
            return
        turn = await self.turns.read(owner, response_id)
        if turn.options.approval_wait_s:
            requests = unanswered_requests(await self.turns.transcript(owner, response_id))
            await self.announce_requests(owner, [each.id for each in requests], client)

    def after_asking(self, step: AskStep) -> Callable[[wire.TurnWire, Any], Awaitable[AskedWire]]:
        """Return the step that asks for approvals, with its durable client as second argument."""

        async def ask(request: wire.TurnWire, client: Any) -> AskedWire:
            asked = await step(request)
            try:
                await self.announce_requests(wire.owner_from_wire(request), asked["open"], client)
            except GanglionError as error:
                log.warning(NOT_STARTED, request["response"], error)
            return asked

        return ask

    async def announce_requests(self, owner: Owner, requests: Sequence[str], client: Any) -> None:
        """Start the deliveries that announce requests, where any endpoint wants them."""
        if not self.turns.endpoints.wanting(owner.tenant, ACTION_REQUIRED):
            return
        for request in requests:
            for delivery in await self.outbox.of(owner, announced_as(request)):
                await self.open_orchestrations(client).start_delivery(delivery)

    def after_batch(self, step: BatchStep) -> Callable[[BatchWire, Any], Awaitable[BatchFinishedWire]]:
        """Return the step that ends a batch, with its durable client as second argument."""

        async def finish(request: BatchWire, client: Any) -> BatchFinishedWire:
            finished = await step(request)
            try:
                await self.follow_batch(request, client)
            except GanglionError as error:
                log.warning(NOT_STARTED, request["response"], error)
            return finished

        return finish

    async def follow_batch(self, request: BatchWire, client: Any) -> None:
        owner = wire.owner_from_wire(request)
        for delivery in await self.outbox.of(owner, ending_id(request["response"])):
            await self.open_orchestrations(client).start_delivery(delivery)

    async def wake_next(self, ended: Response, client: Any) -> None:
        """Wake all followers, and the first turn in the line of the conversation, if no turn has it now."""
        for each in await next_in_line(self.turns.store, ended):
            await self.open_orchestrations(client).signal_turn_ended(each)


def requests_of(ended: Response) -> tuple[str, ...]:
    """Return the requests for an approval among the items of a turn."""
    return tuple(each for each in ended.progress.output_items if each.startswith("mcpr_"))
