"""How is a turn's orchestration started, woken and looked at?"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

from clients.clock import Clock, SystemClock
from domain import wire
from domain.errors import Unavailable
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookDelivery


class DurableClient(Protocol):
    """What we use of `DurableOrchestrationClient`; its own types are incomplete."""

    async def start_new(self, orchestration_function_name: str, instance_id: str, client_input: Any) -> str: ...

    async def raise_event(self, instance_id: str, event_name: str, event_data: Any) -> None: ...

    async def get_status(self, instance_id: str) -> Any: ...


class Orchestrations(Protocol):
    """The orchestrations of turns; an instance's id is its response's."""

    async def start(self, response: Response) -> None:
        """Start the turn; one that runs already is left alone. Raises Unavailable."""
        ...

    async def start_delivery(self, delivery: WebhookDelivery) -> None:
        """Have an endpoint told; one that is being told already is left alone. Raises Unavailable."""
        ...

    async def signal_cancelled(self, response_id: str) -> None:
        """Tell a waiting orchestration that its response has ended.

        Where none runs or the host doesn't answer nothing happens: it sees the ending when its wait is over.
        """
        ...

    async def alive(self, response_id: str) -> bool:
        """Tell whether an orchestration of the response is pending or running. Raises Unavailable."""
        ...


type OpenOrchestrations = Callable[[DurableClient], Orchestrations]

ALIVE = frozenset({"Pending", "Running", "ContinuedAsNew", "Suspended"})


class DurableOrchestrations:
    """The durable client of one invocation."""

    def __init__(self, client: DurableClient, clock: Clock | None = None) -> None:
        self.client = client
        self.clock = clock or SystemClock()

    async def start(self, response: Response) -> None:
        """Start the turn under a name of this start alone, which stays the same however often the host repeats it."""
        given: wire.TurnWire = {**turn_wire(response), "start": self.clock.token()}
        await self.begin(wire.RESPOND, response.id, given)

    async def start_delivery(self, delivery: WebhookDelivery) -> None:
        instance = f"announce_{delivery.response}_{delivery.endpoint}"
        await self.begin(wire.DELIVERY_ORCHESTRATION, instance, delivery_wire(delivery))

    async def begin(self, orchestration: str, instance: str, given: Any) -> None:
        try:
            await self.client.start_new(orchestration, instance, given)
        except Exception as error:  # the SDK raises plain Exceptions, also where the instance runs already
            if not await self.is_alive(instance):
                raise Unavailable(f"{orchestration} could not be started: {type(error).__name__}") from error

    async def signal_cancelled(self, response_id: str) -> None:
        with suppress(Unavailable):
            if await self.alive(response_id):
                await answered(self.client.raise_event(response_id, wire.CANCELLED_EVENT, {}))

    async def alive(self, response_id: str) -> bool:
        return await self.is_alive(response_id)

    async def is_alive(self, instance: str) -> bool:
        status = await answered(self.client.get_status(instance))
        running = getattr(status, "runtime_status", None)
        return getattr(running, "value", None) in ALIVE


async def answered[T](call: Awaitable[T]) -> T:
    """Return what the host says; raises Unavailable where it doesn't, for which the SDK has no type."""
    try:
        return await call
    except Exception as error:
        raise Unavailable(f"the host of orchestrations did not answer: {type(error).__name__}") from error


def turn_wire(response: Response) -> wire.TurnWire:
    return {
        "tenant": response.owner.tenant,
        "subject": response.owner.subject,
        "response": response.id,
        "traceparent": response.traceparent,
    }


def delivery_wire(delivery: WebhookDelivery) -> wire.DeliverWebhookWire:
    return {
        "tenant": delivery.owner.tenant,
        "subject": delivery.owner.subject,
        "response": delivery.response,
        "traceparent": "",
        "endpoint": delivery.endpoint,
    }
