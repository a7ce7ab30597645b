"""How does the product start a turn's orchestration, signal it and check whether it runs?"""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

from clients.clock import Clock
from domain import webhook_wire, wire
from domain.approval_wire import decided_event
from domain.batches import batch_wire
from domain.batches.batch import Batch
from domain.errors import Unavailable
from domain.log.events import ResponseStatus
from domain.place_wire import place_event
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookDelivery


class DurableClient(Protocol):
    """The methods of `DurableOrchestrationClient` that the product uses; the SDK's own types are incomplete."""

    async def start_new(self, orchestration_function_name: str, instance_id: str, client_input: Any) -> str: ...

    async def raise_event(self, instance_id: str, event_name: str, event_data: Any) -> None: ...

    async def get_status(self, instance_id: str) -> Any: ...


class Orchestrations(Protocol):
    """The orchestrations of turns and of webhook deliveries. A turn's instance id is its response's id."""

    async def start(self, response: Response) -> None:
        """Start the turn's orchestration, unless it runs already. Raises Unavailable."""
        ...

    async def start_delivery(self, delivery: WebhookDelivery) -> None:
        """Start the orchestration that delivers a webhook, unless it runs already. Raises Unavailable."""
        ...

    async def start_batch(self, batch: Batch) -> None:
        """Start the orchestration of a batch, unless it runs already. Raises Unavailable."""
        ...

    async def wake_batch(self, batch_id: str, looks: int) -> None:
        """End the wait of a batch after so many looks. An optimisation, as `signal_cancelled`."""
        ...

    async def signal_cancelled(self, response_id: str) -> None:
        """Signal a waiting orchestration that its response has ended.

        The signal is an optimisation. It is dropped if no orchestration runs or the host does not answer: the
        orchestration reads the response's status when its wait is over.
        """
        ...

    async def signal_turn_ended(self, response_id: str) -> None:
        """Signal a waiting orchestration that the turn before it has ended. An optimisation, as `signal_cancelled`."""
        ...

    async def signal_place(self, response_id: str, route: int) -> None:
        """Signal a turn that waits after this route that a backend has a place. An optimisation, as above."""
        ...

    async def signal_decided(self, response_id: str, request_id: str) -> None:
        """Wake a turn that waits for a decision, which is in the store. Raises Unavailable."""
        ...

    async def is_running(self, instance_id: str) -> bool:
        """Return whether the instance is pending, running or suspended. Raises Unavailable."""
        ...


type OpenOrchestrations = Callable[[DurableClient], Orchestrations]

RUNNING_STATUSES = frozenset({"Pending", "Running", "ContinuedAsNew", "Suspended"})


class DurableOrchestrations:
    """Uses the durable client that the host passes to one invocation."""

    def __init__(self, client: DurableClient, clock: Clock) -> None:
        self.client = client
        self.clock = clock

    async def start(self, response: Response) -> None:
        """Start the turn with a token of this start alone. The token stays the same when the host repeats the start."""
        request: wire.RespondWire = {**turn_wire(response), "start": self.clock.token()}
        await self.start_instance(wire.RESPOND, response.id, request)

    async def start_delivery(self, delivery: WebhookDelivery) -> None:
        instance_id = f"announce_{delivery.response}_{delivery.endpoint}"
        await self.start_instance(wire.DELIVERY_ORCHESTRATION, instance_id, delivery_wire(delivery))

    async def start_batch(self, batch: Batch) -> None:
        await self.start_instance(batch_wire.RUN_BATCH, batch.id, wire_of_batch(batch))

    async def wake_batch(self, batch_id: str, looks: int) -> None:
        await self.signal(batch_id, batch_wire.wake_event(looks))

    async def start_instance(self, orchestration: str, instance_id: str, request: Any) -> None:
        try:
            await self.client.start_new(orchestration, instance_id, request)
        except Exception as error:  # the SDK raises plain Exceptions, also if the instance runs already
            if not await self.is_running(instance_id):
                raise Unavailable(
                    f"The orchestration {orchestration} could not be started: {type(error).__name__}"
                ) from error

    async def signal_cancelled(self, response_id: str) -> None:
        await self.signal(response_id, wire.CANCELLED_EVENT)

    async def signal_turn_ended(self, response_id: str) -> None:
        await self.signal(response_id, wire.TURN_ENDED_EVENT)

    async def signal_place(self, response_id: str, route: int) -> None:
        await self.signal(response_id, place_event(route))

    async def signal_decided(self, response_id: str, request_id: str) -> None:
        if await self.is_running(response_id):
            await translate_errors(self.client.raise_event(response_id, decided_event(request_id), {}))

    async def signal(self, response_id: str, event: str) -> None:
        with suppress(Unavailable):
            if await self.is_running(response_id):
                await translate_errors(self.client.raise_event(response_id, event, {}))

    async def is_running(self, instance_id: str) -> bool:
        status = await translate_errors(self.client.get_status(instance_id))
        runtime_status = getattr(status, "runtime_status", None)
        return getattr(runtime_status, "value", None) in RUNNING_STATUSES


async def translate_errors[T](call: Awaitable[T]) -> T:
    """Return the call's result. Raises Unavailable if it fails: the SDK has no error type of its own."""
    try:
        return await call
    except Exception as error:
        raise Unavailable(f"The orchestration host did not answer: {type(error).__name__}") from error


def turn_wire(response: Response) -> wire.RespondWire:
    turn: wire.RespondWire = {
        "tenant": response.owner.tenant,
        "subject": response.owner.subject,
        "response": response.id,
        "traceparent": response.traceparent,
    }
    if response.options.approval_wait_s:
        turn["in_place"] = True
    return {**turn, "waiting": True} if response.history.waits_for or response.options.cache else turn


def wire_of_batch(batch: Batch) -> batch_wire.RunBatchWire:
    return {
        "tenant": batch.owner.tenant,
        "subject": batch.owner.subject,
        "response": batch.id,
        "traceparent": batch.traceparent,
    }


def delivery_wire(delivery: WebhookDelivery) -> webhook_wire.DeliverWebhookWire:
    return {
        "tenant": delivery.owner.tenant,
        "subject": delivery.owner.subject,
        "response": delivery.response,
        "traceparent": "",
        "endpoint": delivery.endpoint,
    }


async def signal_deleted(orchestrations: Orchestrations, ended: Response, next_turns: Iterable[str]) -> None:
    """Signal the orchestration of a turn that was cancelled to be deleted, and the turns that may begin now.

    Its own orchestration finds nothing of it any more, and so wakes none of them.
    """
    if ended.status is not ResponseStatus.CANCELLED:
        return
    await orchestrations.signal_cancelled(ended.id)
    for each in next_turns:
        await orchestrations.signal_turn_ended(each)
