"""Is the end of every turn delivered at least once, whichever code ends it and whichever process crashes?"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from copy import replace
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Any, cast

import pytest

from activities.follow_ups import FollowUps
from activities.maintenance.sweep import SweepDelays
from activities.webhooks.deliver_webhook import (
    MAX_BUSY_DELAY_S,
    MAX_CONCURRENT_TRIES,
    MIN_BUSY_DELAY_S,
    DeliverWebhook,
)
from clients.orchestrations import delivery_wire, turn_wire
from clients.storage.port import DocumentStore
from clients.webhooks.sender import DeliveryReceipt, DeliveryResult
from domain import webhook_wire, wire
from domain.errors import GanglionError, Unavailable
from domain.log.events import ResponseStatus
from domain.turns.response import Response
from domain.turns.webhook_events import DELAYS_S, JITTER, WebhookDelivery, WebhookEndpoint, WebhookEndpoints
from orchestrators.deliver_webhook import deliver_webhook
from state.retention.deletion import Retention
from state.turns.responses import TurnStore
from state.webhook_outbox import KEPT_S, WebhookOutbox
from tests.checks import every
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.orchestration import ActivityCall, FakeContext, FakeOrchestrations, TimerOrEvent
from tests.fakes.stores import CrashError, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER, THREAD, World, backend

DELAYS = SweepDelays(unbegun_s=30.0, silent_s=900.0, unsettled_s=60.0)
MAIN = WebhookEndpoint(name="main", url="https://hooks.example/x", secrets=(b"s" * 32,))
SECOND = WebhookEndpoint(name="second", url="https://second.example/x", secrets=(b"s" * 32,))
TAKEN, GONE, LATER = (
    DeliveryReceipt(result=verdict)
    for verdict in (DeliveryResult.DELIVERED, DeliveryResult.GONE, DeliveryResult.RETRY_LATER)
)


@dataclass(slots=True)
class FakeSender:
    """Returns receipts in order, then the last one again, and records each delivery and its time."""

    clock: FakeClock
    receipts: Sequence[DeliveryReceipt] = (TAKEN,)
    sent: list[tuple[str, WebhookDelivery]] = field(default_factory=list[tuple[str, WebhookDelivery]])
    times: list[float] = field(default_factory=list[float])
    gate: asyncio.Event | None = None

    async def send(self, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> DeliveryReceipt:
        await asyncio.sleep(0)
        self.sent.append((endpoint.name, delivery))
        self.times.append(self.clock.now())
        if self.gate:
            await self.gate.wait()
        return self.receipts[min(len(self.sent), len(self.receipts)) - 1]

    @property
    def ids(self) -> list[str]:
        return [delivery.id for _, delivery in self.sent]


class Deliveries:
    """A world whose turn ends are delivered to `endpoints`."""

    def __init__(self, *receipts: DeliveryReceipt, endpoints: Sequence[WebhookEndpoint] = (MAIN,)) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.endpoints = WebhookEndpoints(known={each.name: each for each in endpoints})
        fake = FakeBackend(says("four and twenty"))
        self.world = World(
            store=self.store,
            clock=self.clock,
            backends={"main": (backend("main"), fake)},
            endpoints=self.endpoints,
        )
        self.sender = FakeSender(self.clock, receipts or (TAKEN,))
        self.host = FakeOrchestrations()

    def deliver(self, store: DocumentStore | None = None) -> Callable[[Any], Awaitable[webhook_wire.WebhookTriedWire]]:
        outbox = WebhookOutbox(store or self.store, self.clock)
        sender: Any = self.sender
        return DeliverWebhook(outbox=outbox, endpoints=self.endpoints, sender=sender, clock=self.clock).deliver

    async def open(self) -> Sequence[WebhookDelivery]:
        return await WebhookOutbox(self.store, self.clock).overdue(before=self.clock.now() + 2 * KEPT_S)

    async def sweep(self) -> None:
        sweep = self.world.sweep(DELAYS)
        await sweep.sweep(self.host)

    async def run(self, delivery: WebhookDelivery) -> webhook_wire.WebhookDeliveredWire:
        """Run the orchestration of a delivery to its end; its timers cost no time."""
        steps, deliver = deliver_webhook(FakeContext(delivery_wire(delivery), self.clock)), self.deliver()
        yielded = next(steps)
        while True:
            result: Any = None
            if isinstance(yielded, ActivityCall):
                result = await deliver(yielded.request)
            else:
                await fire(yielded, self.clock)
            try:
                yielded = steps.send(result)
            except StopIteration as stop:
                return stop.value

    async def ended(self, status: ResponseStatus = ResponseStatus.COMPLETED) -> Response:
        response = await self.world.admit("hello")
        return await self.world.turns.finish(OWNER, response.id, status=status)

    async def ended_and_open(self) -> WebhookDelivery:
        await self.ended()
        [delivery] = await self.open()
        return delivery


def failed(response: Response) -> wire.FinishWire:
    return {**turn_wire(response), "status": "failed", "code": "server_error", "message": ""}


async def fire(timer: TimerOrEvent, clock: FakeClock) -> None:
    assert timer.at is not None
    await clock.sleep(max(0.0, timer.at.timestamp() - clock.now()))


async def test_an_accepted_delivery_is_sent_once_and_leaves_no_document() -> None:
    deliveries = Deliveries()
    delivery = await deliveries.ended_and_open()
    assert await deliveries.run(delivery) == {"outcome": "taken"}
    assert deliveries.sender.sent == [("main", delivery)]
    assert await deliveries.open() == ()


async def test_a_delivery_that_is_not_accepted_is_retried_after_the_planned_delays_with_the_same_id() -> None:
    deliveries = Deliveries(LATER, LATER, LATER, TAKEN)
    delivery = await deliveries.ended_and_open()
    assert await deliveries.run(delivery) == {"outcome": "taken"}
    waits = [
        later - earlier for earlier, later in zip(deliveries.sender.times, deliveries.sender.times[1:], strict=False)
    ]
    for waited, planned in zip(waits, DELAYS_S[:3], strict=True):
        assert planned <= waited <= planned * (1 + JITTER) + 1
    assert set(deliveries.sender.ids) == {delivery.id}
    assert await deliveries.open() == ()


async def test_a_delivery_that_is_never_accepted_is_given_up_after_ten_tries() -> None:
    deliveries = Deliveries(LATER)
    assert await deliveries.run(await deliveries.ended_and_open()) == {"outcome": "given up"}
    assert len(deliveries.sender.sent) == len(DELAYS_S) + 1
    assert await deliveries.open() == ()


async def test_an_endpoint_that_is_gone_gets_no_deliveries_until_it_is_registered_again() -> None:
    deliveries = Deliveries(GONE, TAKEN)
    assert await deliveries.run(await deliveries.ended_and_open()) == {"outcome": "gone"}
    assert await deliveries.run(await deliveries.ended_and_open()) == {"outcome": "no such endpoint"}
    assert len(deliveries.sender.sent) == 1
    deliveries.endpoints = WebhookEndpoints(known={"main": replace(MAIN, revision=2)})
    assert await deliveries.run(await deliveries.ended_and_open()) == {"outcome": "taken"}


async def test_an_endpoint_that_left_the_configuration_gets_no_deliveries() -> None:
    deliveries = Deliveries()
    delivery = await deliveries.ended_and_open()
    deliveries.endpoints = WebhookEndpoints()
    assert await deliveries.run(delivery) == {"outcome": "no such endpoint"}
    assert (deliveries.sender.sent, await deliveries.open()) == ([], ())


async def test_a_repeated_try_is_not_sent_twice() -> None:
    deliveries = Deliveries(LATER)
    delivery = await deliveries.ended_and_open()
    request = delivery_wire(delivery)
    first, again = await deliveries.deliver()(request), await deliveries.deliver()(request)
    assert first["delay_s"] == pytest.approx(again["delay_s"])
    assert len(deliveries.sender.sent) == 1
    deliveries.sender.receipts = (TAKEN,)
    deliveries.clock.advance(10)
    assert [(await deliveries.deliver()(request))["outcome"] for _ in range(2)] == ["taken", "already delivered"]


async def test_a_slow_endpoint_occupies_few_steps_and_the_others_wait_on_timers() -> None:
    deliveries = Deliveries()
    gate = deliveries.sender.gate = asyncio.Event()
    for _ in range(MAX_CONCURRENT_TRIES + 2):
        await deliveries.ended()
    deliver, waiting = deliveries.deliver(), [delivery_wire(each) for each in await deliveries.open()]
    tries = [asyncio.ensure_future(deliver(request)) for request in waiting]
    busy = [await each for each in islice(asyncio.as_completed(tries), 2)]
    assert [each["outcome"] for each in busy] == ["busy", "busy"]
    assert every(MIN_BUSY_DELAY_S / 2 <= each["delay_s"] <= MIN_BUSY_DELAY_S * 1.5 for each in busy)
    gate.set()
    assert sorted([(await each)["outcome"] for each in tries]) == ["busy"] * 2 + ["taken"] * MAX_CONCURRENT_TRIES
    assert len(deliveries.sender.sent) == MAX_CONCURRENT_TRIES
    assert [(await deliver(request))["outcome"] for request in waiting].count("taken") == 2
    assert await deliveries.open() == ()


async def test_a_busy_endpoint_is_tried_less_and_less_often() -> None:
    deliveries = Deliveries()
    step = DeliverWebhook(
        outbox=WebhookOutbox(deliveries.store, deliveries.clock),
        endpoints=deliveries.endpoints,
        sender=cast("Any", deliveries.sender),
        clock=deliveries.clock,
    )
    assert 50 <= step.busy_delay_s(100.0) <= 150
    assert step.busy_delay_s(10**6) <= MAX_BUSY_DELAY_S * 1.5


def finish_step(deliveries: Deliveries, host: Any) -> Any:
    """Return the step that ends turns, with what follows it at a host."""
    app = deliveries.world.app
    follow_ups = FollowUps(
        app.state.turns,
        app.state.webhook_outbox,
        lambda _client: host,
        after_event=app.pipelines.turns.after_turn,
        wakes=app.state.backend_states.wakes,
    )
    return follow_ups.after(deliveries.world.steps[wire.FINISH])


async def test_the_finish_step_starts_a_delivery_for_each_endpoint() -> None:
    deliveries = Deliveries(endpoints=(MAIN, SECOND))
    response = await deliveries.world.admit("hello")
    step = finish_step(deliveries, deliveries.host)
    await deliveries.world.run(response)
    assert await step(failed(response), None) == {"status": "completed"}
    assert deliveries.host.deliveries == [f"{response.id} main", f"{response.id} second"]
    assert {each.endpoint for each in await deliveries.open()} == {"main", "second"}


class SilentHost(FakeOrchestrations):
    async def start_delivery(self, delivery: WebhookDelivery) -> None:
        raise Unavailable("the host did not answer")


async def test_a_host_that_does_not_answer_fails_no_finish_and_the_sweep_starts_the_delivery() -> None:
    deliveries = Deliveries()
    response = await deliveries.world.admit("hello")
    step = finish_step(deliveries, SilentHost())
    assert await step(failed(response), None) == {"status": "failed"}
    await deliveries.sweep()
    assert deliveries.host.deliveries == []
    deliveries.clock.advance(31)
    await deliveries.sweep()
    assert deliveries.host.deliveries == [f"{response.id} main"]


async def test_without_endpoints_no_delivery_is_started() -> None:
    deliveries = Deliveries(endpoints=())
    response = await deliveries.world.admit("hello")
    step = finish_step(deliveries, SilentHost())
    assert await step(failed(response), None) == {"status": "failed"}
    assert await deliveries.open() == ()


async def lost(deliveries: Deliveries) -> ResponseStatus:
    response = await deliveries.world.admit("hello")
    await deliveries.world.turns.begin(OWNER, response.id, execution="e")
    deliveries.clock.advance(1000)
    await deliveries.sweep()
    return ResponseStatus.FAILED


async def deleted(deliveries: Deliveries) -> ResponseStatus:
    response = await deliveries.world.admit("hello")
    await Retention(deliveries.store, deliveries.world.turns, deliveries.clock).delete_response(OWNER, response.id)
    return ResponseStatus.CANCELLED


async def erased(deliveries: Deliveries) -> ResponseStatus:
    response = await deliveries.world.admit("hello")
    retention = Retention(deliveries.store, deliveries.world.turns, deliveries.clock)
    await retention.clearing.erase_thread(OWNER, THREAD)
    with pytest.raises(GanglionError):
        await deliveries.world.turns.read(OWNER, response.id)
    return ResponseStatus.CANCELLED


async def answered(deliveries: Deliveries) -> ResponseStatus:
    await deliveries.world.run(await deliveries.world.admit("hello"))
    return ResponseStatus.COMPLETED


@pytest.mark.parametrize("way", [lost, deleted, erased, answered])
async def test_an_end_is_delivered_whichever_code_ends_the_turn(
    way: Callable[[Deliveries], Awaitable[ResponseStatus]],
) -> None:
    deliveries = Deliveries()
    status = await way(deliveries)
    [delivery] = await deliveries.open()
    assert delivery.status is status
    assert await deliveries.run(delivery) == {"outcome": "taken"}


@pytest.mark.parametrize("status", [each for each in ResponseStatus if each.is_terminal])
async def test_an_endpoint_gets_only_the_endings_that_it_wants(status: ResponseStatus) -> None:
    deliveries = Deliveries(endpoints=(replace(MAIN, events=frozenset({ResponseStatus.FAILED})),))
    await deliveries.ended(status)
    assert [each.status for each in await deliveries.open()] == (
        [ResponseStatus.FAILED] if status is ResponseStatus.FAILED else []
    )


@pytest.mark.parametrize("seed", range(40))
async def test_an_end_is_delivered_and_its_document_deleted_though_processes_crash(seed: int) -> None:
    """Each process may crash at any write; the host, or the sweep, then starts another."""
    random = Random(seed)  # noqa: S311 - a test's seed
    deliveries = Deliveries(LATER, LATER, TAKEN)
    response = await deliveries.world.admit("hello")
    for _ in range(200):
        with suppress(CrashError, GanglionError):
            await TurnStore(
                FlakyStore(deliveries.store, random, Faults(rate=0.3)), deliveries.clock, deliveries.endpoints
            ).finish(OWNER, response.id, status=ResponseStatus.COMPLETED)
            break
    for _ in range(200):
        deliveries.clock.advance(200)
        flaky = FlakyStore(deliveries.store, random, Faults(rate=0.3))
        with suppress(CrashError, GanglionError):
            for each in await WebhookOutbox(flaky, deliveries.clock).overdue(before=deliveries.clock.now()):
                await deliveries.deliver(flaky)(delivery_wire(each))
    assert await deliveries.open() == ()
    assert len(deliveries.sender.sent) >= 3
    assert len(set(deliveries.sender.ids)) == 1


@pytest.mark.parametrize(
    ("receipts", "outcome", "tries"),
    [((LATER, TAKEN), "accepted", 2), ((GONE,), "gone", 1), ((LATER,), "given up", 10)],
)
async def test_the_outcome_of_a_delivery_is_kept_with_its_tries_and_no_sweep_finds_it(
    receipts: Sequence[DeliveryReceipt], outcome: str, tries: int
) -> None:
    deliveries = Deliveries(*receipts)
    delivery = await deliveries.ended_and_open()
    await deliveries.run(delivery)
    (note,) = await WebhookOutbox(deliveries.store, deliveries.clock).of_response(OWNER, delivery.response)
    assert (note.outcome, note.delivery.tries, note.closed_at) == (outcome, tries, deliveries.clock.now())
    assert await deliveries.open() == ()
    assert await WebhookOutbox(deliveries.store, deliveries.clock).of(OWNER, delivery.response) == ()
