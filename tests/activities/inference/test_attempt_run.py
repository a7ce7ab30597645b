"""Which run answers a repeated, superseded, cancelled or late attempt, and is its backend connection closed?"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from activities.inference.attempt_run import MAX_DELIVERIES
from domain.content.items import ItemStatus
from domain.fleet.catalog import ContinuationMode
from domain.log.events import ResponseStatus
from domain.money.attempt_charge import AttemptStatus
from domain.turns.response import Response
from tests.fakes.backends import Act, FakeBackend, says
from tests.fakes.clocks import LoopClock, in_no_time
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, World, backend

TEXT = "one two three"
ANSWER = says(TEXT)


def scene(
    *scripts: Sequence[Act], continues: ContinuationMode = ContinuationMode.ASSISTANT_PREFILL
) -> tuple[World, FakeBackend]:
    clock, fake = LoopClock(), FakeBackend(*scripts)
    backends = {"main": (backend("main", continues), fake)}
    return World(store=MemoryStore(clock), clock=clock, backends=backends), fake


def request_of(response: Response, attempt: int = 1) -> dict[str, Any]:
    return {
        "tenant": OWNER.tenant,
        "subject": OWNER.subject,
        "response": response.id,
        "traceparent": "",
        "attempt": attempt,
        "backend": "main",
        "worst_cost": "0.01",
        "output_tokens": 100,
        "retries": 0,
        "has_alternative": False,
    }


async def begin(world: World, *, max_output_tokens: int | None = None) -> Response:
    response = await world.admit("count", max_output_tokens=max_output_tokens)
    await world.turns.begin(OWNER, response.id, execution="first")
    return response


def infer(world: World, response: Response, attempt: int = 1) -> asyncio.Task[Any]:
    return asyncio.ensure_future(world.steps["infer"](request_of(response, attempt)))


async def items_of(world: World, response: Response) -> list[tuple[str, ItemStatus]]:
    return [(item.text, item.status) for item in (await world.log(response)).items]


def instantly(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in time that costs nothing."""

    def run() -> None:
        in_no_time(test())

    run.__name__ = test.__name__
    return run


@instantly
async def test_a_superseded_run_returns_the_result_of_its_successor() -> None:
    stalled = asyncio.Event()
    world, fake = scene([*ANSWER[:2], stalled, *ANSWER[2:]], says(" three"))
    response = await begin(world)
    first = infer(world, response)
    await asyncio.sleep(2)
    second = infer(world, response)
    results = await asyncio.gather(first, second)
    assert results[0] == results[1]
    assert results[0]["result"] == "done"
    assert await items_of(world, response) == [(TEXT, ItemStatus.COMPLETED)]
    assert fake.calls[1].partial == "one two"
    assert fake.open == 0


@instantly
async def test_a_superseded_run_closes_its_connection_within_a_second() -> None:
    silent = [asyncio.Event()]
    world, fake = scene([ANSWER[0], *silent], silent)
    response = await begin(world)
    first = infer(world, response)
    await asyncio.sleep(2)
    second = infer(world, response)
    await asyncio.sleep(1)
    assert (len(fake.calls), fake.open) == (2, 1)
    first.cancel()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)


@instantly
async def test_a_run_whose_successor_never_ends_hands_over_in_the_end() -> None:
    world, _ = scene([ANSWER[0], asyncio.Event()])
    response = await begin(world)
    first = infer(world, response)
    await asyncio.sleep(2)
    second = infer(world, response)
    await asyncio.sleep(3)
    second.cancel()
    assert (await first)["result"] == "handover"
    await asyncio.gather(second, return_exceptions=True)


@pytest.mark.parametrize("said", [[], ANSWER[:1]], ids=["before its first word", "in mid-stream"])
def test_a_cancel_ends_an_attempt_and_closes_its_connection_within_a_second(said: Sequence[Act]) -> None:
    async def test() -> None:
        world, fake = scene([*said, asyncio.Event()])
        response = await begin(world)
        run = infer(world, response)
        await asyncio.sleep(2)
        await world.turns.finish(OWNER, response.id, status=ResponseStatus.CANCELLED)
        slots = await world.turns.slots(OWNER, response.id)
        await asyncio.sleep(1)
        assert fake.open == 0
        assert (await run)["result"] == "ended"
        assert await world.turns.slots(OWNER, response.id) == slots
        (record,) = await world.ledger.attempts(OWNER, response.id)
        assert (record.charge.status, record.progress.result) == (AttemptStatus.CLOSED, "ended")

    in_no_time(test())


@instantly
async def test_a_cancel_is_noticed_while_no_new_text_arrives() -> None:
    repeats: list[Act] = [*ANSWER[:2], asyncio.Event()]
    world, fake = scene(repeats, continues=ContinuationMode.NO)
    response = await begin(world)
    first = infer(world, response)
    await asyncio.sleep(1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = infer(world, response)
    await asyncio.sleep(2)
    await world.turns.finish(OWNER, response.id, status=ResponseStatus.CANCELLED)
    await asyncio.sleep(1)
    assert fake.open == 0
    assert (await second)["result"] == "ended"
    assert await items_of(world, response) == [("one two", ItemStatus.INCOMPLETE)]


@instantly
async def test_an_attempt_after_the_ending_makes_no_call() -> None:
    world, fake = scene(ANSWER)
    response = await begin(world)
    await world.turns.finish(OWNER, response.id, status=ResponseStatus.CANCELLED)
    assert (await infer(world, response))["result"] == "ended"
    assert fake.calls == []


@instantly
async def test_a_delivery_after_a_later_attempt_has_ended_makes_no_call() -> None:
    world, fake = scene(ANSWER)
    response = await begin(world)
    assert (await infer(world, response, attempt=2))["result"] == "done"
    before = await world.turns.slots(OWNER, response.id)
    assert (await infer(world, response, attempt=1))["result"] == "handover"
    assert await world.turns.slots(OWNER, response.id) == before
    assert len(fake.calls) == 1


@instantly
async def test_an_attempt_that_kills_its_worker_repeatedly_fails() -> None:
    world, fake = scene([ANSWER[0], asyncio.Event()])
    response = await begin(world)
    for _ in range(MAX_DELIVERIES):
        run = infer(world, response)
        await asyncio.sleep(1)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
    given_up = await infer(world, response)
    assert (given_up["result"], given_up["code"]) == ("failed", "server_error")
    assert len(fake.calls) == MAX_DELIVERIES
    states = await world.app.state.backend_states.read(world.fleet.backends)
    assert [each.load.running(world.clock.now()) for each in states.values()] == [0] * len(states)
    (record,) = await world.ledger.attempts(OWNER, response.id)
    assert (record.charge.status, record.progress.deliveries) == (AttemptStatus.CLOSED, MAX_DELIVERIES + 1)


@instantly
async def test_a_long_attempt_hands_over_and_the_next_one_continues() -> None:
    world, fake = scene([ANSWER[0], asyncio.Event()], says(" two three"))
    response = await begin(world)
    began = world.clock.now()
    assert (await infer(world, response))["result"] == "handover"
    assert 480 <= world.clock.now() - began < 481
    assert fake.open == 0
    assert (await infer(world, response, attempt=2))["result"] == "done"
    assert await items_of(world, response) == [(TEXT, ItemStatus.COMPLETED)]


@instantly
async def test_an_attempt_ends_with_the_deadline_of_its_turn() -> None:
    world, _ = scene([ANSWER[0], asyncio.Event()])
    response = await begin(world)
    await asyncio.sleep(1500)
    late = await infer(world, response)
    assert (late["result"], late["message"]) == ("failed", "The deadline has passed.")
    assert 0 <= world.clock.now() - response.deadline_at < 1


@instantly
async def test_an_answer_at_its_limit_ends_without_another_call() -> None:
    world, fake = scene([*ANSWER[:2], asyncio.Event()])
    response = await begin(world, max_output_tokens=2)
    run = infer(world, response)
    await asyncio.sleep(1)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    full = await world.steps["infer"]({**request_of(response), "output_tokens": 2})
    assert (full["result"], full["code"]) == ("done", "max_output_tokens")
    assert len(fake.calls) == 1
    assert await items_of(world, response) == [("one two", ItemStatus.INCOMPLETE)]


@instantly
async def test_an_answer_that_a_lost_run_wrote_up_to_its_cap_goes_on_in_the_next_attempt() -> None:
    world, fake = scene([*ANSWER[:2], asyncio.Event()])
    response = await begin(world)
    run = infer(world, response)
    await asyncio.sleep(1)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    full = await world.steps["infer"]({**request_of(response), "output_tokens": 2})
    assert full["result"] == "handover"
    assert full["capped"] == {"backend": "main", "written": 2, "tried": 0}
    assert await world.steps["infer"]({**request_of(response), "output_tokens": 2}) == full
    assert len(fake.calls) == 1
    assert await items_of(world, response) == [("one two", ItemStatus.IN_PROGRESS)]
