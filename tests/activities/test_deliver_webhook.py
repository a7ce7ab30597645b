"""Is every end of a turn told, at least once and in the end, whoever ends it and whatever dies on the way?"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from random import Random
from typing import Any, cast

import pytest

from activities.deliver_webhook import (
    MAX_BUSY_DELAY_S,
    MAX_CONCURRENT_TRIES,
    MIN_BUSY_DELAY_S,
    DeliverWebhook,
)
from activities.maintenance.sweep import Sweep, SweepDelays
from activities.start_deliveries import StartDeliveries
from clients.orchestrations import delivery_wire, turn_wire
from clients.storage.port import DocumentStore
from clients.webhooks.sender import DeliveryReceipt, DeliveryResult
from domain import wire
from domain.errors import GanglionError, Unavailable
from domain.log.events import ResponseStatus
from domain.turns.response import Response
from domain.turns.webhook_events import DELAYS_S, SPREAD, WebhookDelivery, WebhookEndpoint, WebhookEndpoints
from orchestrators.deliver_webhook import deliver_webhook
from state.retention.deletion import Retention
from state.turns.responses import TurnStore
from state.webhook_outbox import KEPT_S, WebhookOutbox
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.orchestration import Alarm, Asked, FakeContext, FakeOrchestrations
from tests.fakes.stores import CrashError, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER, THREAD, World, backend

MAIN = WebhookEndpoint(name="main", url="https://hooks.example/x", secrets=(b"s" * 32,))
SECOND = WebhookEndpoint(name="second", url="https://second.example/x", secrets=(b"s" * 32,))
TAKEN, GONE, LATER = (
    DeliveryReceipt(result=verdict) for verdict in (DeliveryResult.TAKEN, DeliveryResult.GONE, DeliveryResult.LATER)
)


@dataclass(slots=True)
class FakeSender:
    """Gives receipts in their order, the last one for ever, and remembers what it was to send, and when."""

    clock: FakeClock
    receipts: Sequence[DeliveryReceipt] = (TAKEN,)
    sent: list[tuple[str, WebhookDelivery]] = field(default_factory=list[tuple[str, WebhookDelivery]])
    times: list[float] = field(default_factory=list[float])
    gate: asyncio.Event | None = None

    async def send(self, endpoint: WebhookEndpoint, announcement: WebhookDelivery) -> DeliveryReceipt:
        await asyncio.sleep(0)
        self.sent.append((endpoint.name, announcement))
        self.times.append(self.clock.now())
        if self.gate:
            await self.gate.wait()
        return self.receipts[min(len(self.sent), len(self.receipts)) - 1]

    @property
    def ids(self) -> list[str]:
        return [announcement.id for _, announcement in self.sent]


class Post:
    """A world whose ends are told, to `endpoints`."""

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

    def notify(self, store: DocumentStore | None = None) -> Callable[[Any], Awaitable[wire.WebhookTriedWire]]:
        announcements = WebhookOutbox(store or self.store, self.clock)
        sender: Any = self.sender
        return DeliverWebhook(outbox=announcements, endpoints=self.endpoints, sender=sender, clock=self.clock).deliver

    async def open(self) -> Sequence[WebhookDelivery]:
        return await WebhookOutbox(self.store, self.clock).overdue(before=self.clock.now() + 2 * KEPT_S)

    async def sweep(self) -> None:
        sweep = Sweep(turns=self.world.turns, ledger=self.world.ledger, clock=self.clock, delays=SweepDelays())
        await sweep.sweep(self.host)

    async def tell(self, announcement: WebhookDelivery) -> wire.WebhookDeliveredWire:
        """Run the orchestration that tells, to its end; its timers fire in no time."""
        steps, notify = deliver_webhook(FakeContext(delivery_wire(announcement), self.clock)), self.notify()
        yielded = next(steps)
        while True:
            result: Any = None
            if isinstance(yielded, Asked):
                result = await notify(yielded.given)
            else:
                await fired(yielded, self.clock)
            try:
                yielded = steps.send(result)
            except StopIteration as stop:
                return stop.value

    async def ended(self, status: ResponseStatus = ResponseStatus.COMPLETED) -> Response:
        response = await self.world.admit("hello")
        return await self.world.turns.finish(OWNER, response.id, status=status)

    async def ended_and_open(self) -> WebhookDelivery:
        await self.ended()
        [announcement] = await self.open()
        return announcement


def failed(response: Response) -> wire.FinishWire:
    return {**turn_wire(response), "status": "failed", "code": "server_error", "message": ""}


async def fired(alarm: Alarm, clock: FakeClock) -> None:
    assert alarm.at is not None
    await clock.sleep(max(0.0, alarm.at.timestamp() - clock.now()))


async def test_what_is_taken_at_once_is_told_once_and_leaves_nothing() -> None:
    post = Post()
    announcement = await post.ended_and_open()
    assert await post.tell(announcement) == {"outcome": "taken"}
    assert post.sender.sent == [("main", announcement)]
    assert await post.open() == ()


async def test_what_is_not_taken_is_told_again_after_the_planned_delays_under_the_same_id() -> None:
    post = Post(LATER, LATER, LATER, TAKEN)
    announcement = await post.ended_and_open()
    assert await post.tell(announcement) == {"outcome": "taken"}
    waits = [later - earlier for earlier, later in zip(post.sender.times, post.sender.times[1:], strict=False)]
    for waited, planned in zip(waits, DELAYS_S[:3], strict=True):
        assert planned <= waited <= planned * (1 + SPREAD) + 1
    assert set(post.sender.ids) == {announcement.id}
    assert await post.open() == ()


async def test_what_nobody_ever_takes_is_given_up_after_ten_tries() -> None:
    post = Post(LATER)
    assert await post.tell(await post.ended_and_open()) == {"outcome": "given up"}
    assert len(post.sender.sent) == len(DELAYS_S) + 1
    assert await post.open() == ()


async def test_an_endpoint_that_is_gone_is_told_nothing_more_until_it_is_registered_anew() -> None:
    post = Post(GONE, TAKEN)
    assert await post.tell(await post.ended_and_open()) == {"outcome": "gone"}
    assert await post.tell(await post.ended_and_open()) == {"outcome": "no such endpoint"}
    assert len(post.sender.sent) == 1
    post.endpoints = WebhookEndpoints(known={"main": replace(MAIN, revision=2)})
    assert await post.tell(await post.ended_and_open()) == {"outcome": "taken"}


async def test_an_endpoint_that_left_the_configuration_is_told_nothing() -> None:
    post = Post()
    announcement = await post.ended_and_open()
    post.endpoints = WebhookEndpoints()
    assert await post.tell(announcement) == {"outcome": "no such endpoint"}
    assert (post.sender.sent, await post.open()) == ([], ())


async def test_a_try_that_comes_twice_is_not_made_twice() -> None:
    post = Post(LATER)
    announcement = await post.ended_and_open()
    given = delivery_wire(announcement)
    first, again = await post.notify()(given), await post.notify()(given)
    assert first["delay_s"] == pytest.approx(again["delay_s"])
    assert len(post.sender.sent) == 1
    post.sender.receipts = (TAKEN,)
    post.clock.advance(10)
    assert [(await post.notify()(given))["outcome"] for _ in range(2)] == ["taken", "already delivered"]


async def test_an_endpoint_that_dawdles_keeps_few_steps_and_the_rest_wait_on_timers() -> None:
    post = Post()
    gate = post.sender.gate = asyncio.Event()
    for _ in range(MAX_CONCURRENT_TRIES + 2):
        await post.ended()
    notify, waiting = post.notify(), [delivery_wire(each) for each in await post.open()]
    tries = [asyncio.ensure_future(notify(given)) for given in waiting]
    busy = [await each for each in islice(asyncio.as_completed(tries), 2)]
    assert [each["outcome"] for each in busy] == ["busy", "busy"]
    assert all(MIN_BUSY_DELAY_S / 2 <= each["delay_s"] <= MIN_BUSY_DELAY_S * 1.5 for each in busy)
    gate.set()
    assert sorted([(await each)["outcome"] for each in tries]) == ["busy"] * 2 + ["taken"] * MAX_CONCURRENT_TRIES
    assert len(post.sender.sent) == MAX_CONCURRENT_TRIES
    assert [(await notify(given))["outcome"] for given in waiting].count("taken") == 2
    assert await post.open() == ()


async def test_who_waits_for_room_waits_ever_longer() -> None:
    post = Post()
    notify = DeliverWebhook(
        outbox=WebhookOutbox(post.store, post.clock),
        endpoints=post.endpoints,
        sender=cast("Any", post.sender),
        clock=post.clock,
    )
    assert 50 <= notify.busy_delay_s(100.0) <= 150
    assert notify.busy_delay_s(10**6) <= MAX_BUSY_DELAY_S * 1.5


async def test_an_orchestration_tells_its_end_and_the_host_starts_one_for_each_endpoint() -> None:
    post = Post(endpoints=(MAIN, SECOND))
    response = await post.world.admit("hello")
    step = StartDeliveries(post.world.turns, lambda _client: post.host).after(post.world.steps[wire.FINISH])
    await post.world.run(response)
    assert await step(failed(response), None) == {"status": "completed"}
    assert post.host.announced == [f"{response.id} main", f"{response.id} second"]
    assert {each.endpoint for each in await post.open()} == {"main", "second"}


class SilentHost(FakeOrchestrations):
    async def start_delivery(self, announcement: WebhookDelivery) -> None:
        raise Unavailable("the host did not answer")


async def test_a_host_that_does_not_answer_spoils_no_end_and_the_sweep_makes_up_for_it() -> None:
    post = Post()
    response = await post.world.admit("hello")
    step = StartDeliveries(post.world.turns, lambda _client: SilentHost()).after(post.world.steps[wire.FINISH])
    assert await step(failed(response), None) == {"status": "failed"}
    await post.sweep()
    assert post.host.announced == []
    post.clock.advance(31)
    await post.sweep()
    assert post.host.announced == [f"{response.id} main"]


async def test_where_nobody_is_registered_an_end_costs_nothing_more() -> None:
    post = Post(endpoints=())
    response = await post.world.admit("hello")
    step = StartDeliveries(post.world.turns, lambda _client: SilentHost()).after(post.world.steps[wire.FINISH])
    assert await step(failed(response), None) == {"status": "failed"}
    assert await post.open() == ()


async def lost(post: Post) -> ResponseStatus:
    response = await post.world.admit("hello")
    await post.world.turns.begin(OWNER, response.id, execution="e")
    post.clock.advance(1000)
    await post.sweep()
    return ResponseStatus.FAILED


async def deleted(post: Post) -> ResponseStatus:
    response = await post.world.admit("hello")
    await Retention(post.store, post.world.turns, post.clock).delete_response(OWNER, response.id)
    return ResponseStatus.CANCELLED


async def erased(post: Post) -> ResponseStatus:
    response = await post.world.admit("hello")
    retention = Retention(post.store, post.world.turns, post.clock)
    await retention.clearing.erase_thread(OWNER, THREAD)
    with pytest.raises(GanglionError):
        await post.world.turns.read(OWNER, response.id)
    return ResponseStatus.CANCELLED


async def answered(post: Post) -> ResponseStatus:
    await post.world.run(await post.world.admit("hello"))
    return ResponseStatus.COMPLETED


@pytest.mark.parametrize("way", [lost, deleted, erased, answered])
async def test_an_end_is_told_whoever_ends_the_turn(way: Callable[[Post], Awaitable[ResponseStatus]]) -> None:
    post = Post()
    status = await way(post)
    [announcement] = await post.open()
    assert announcement.status is status
    assert await post.tell(announcement) == {"outcome": "taken"}


@pytest.mark.parametrize("status", [each for each in ResponseStatus if each.terminal])
async def test_an_endpoint_for_one_ending_is_told_of_no_other(status: ResponseStatus) -> None:
    post = Post(endpoints=(replace(MAIN, events=frozenset({ResponseStatus.FAILED})),))
    await post.ended(status)
    assert [each.status for each in await post.open()] == (
        [ResponseStatus.FAILED] if status is ResponseStatus.FAILED else []
    )


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_dies_in_between_an_end_is_told_and_then_forgotten(seed: int) -> None:
    """Lives end in the middle of any write; each next life is what the host, or the sweep, starts again."""
    random = Random(seed)  # noqa: S311 - a test's seed
    post = Post(LATER, LATER, TAKEN)
    response = await post.world.admit("hello")
    for _ in range(200):
        with suppress(CrashError, GanglionError):
            await TurnStore(FlakyStore(post.store, random, Faults(rate=0.3)), post.clock, post.endpoints).finish(
                OWNER, response.id, status=ResponseStatus.COMPLETED
            )
            break
    for _ in range(200):
        post.clock.advance(200)
        flaky = FlakyStore(post.store, random, Faults(rate=0.3))
        with suppress(CrashError, GanglionError):
            for each in await WebhookOutbox(flaky, post.clock).overdue(before=post.clock.now()):
                await post.notify(flaky)(delivery_wire(each))
    assert await post.open() == ()
    assert len(post.sender.sent) >= 3
    assert len(set(post.sender.ids)) == 1
