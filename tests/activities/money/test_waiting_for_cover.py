"""Does a turn that lacks cover only because others hold it wait for it, while its deadline allows?"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from copy import replace
from decimal import Decimal

import pytest

from clients.backends.port import AnswerEnd, TextPiece
from clients.orchestrations import turn_wire
from domain.log.events import ResponseStatus
from domain.money.budgets import HELD, TAKEN, Budgets, BudgetScope, tenant_day_counter_id
from domain.money.ledger_records import NANOS, turn_cost
from domain.turns.response import Response
from state.money.ledger import Ledger, money_key
from tests.fakes.backends import Act, FakeBackend, says
from tests.fakes.clocks import FakeClock, LoopClock, in_no_time
from tests.fakes.orchestration import Run
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, PRICE, World, backend

TURNS = 80
ANSWER = "one two three"
ANSWER_S = 5.0
DEAR = replace(PRICE, input=1000 * PRICE.input, cached_input=1000 * PRICE.cached_input, output=1000 * PRICE.output)
"""A turn holds more than its admission asks for."""


class SlowBackend(FakeBackend):
    """Answers after some seconds."""

    async def play(self, script: Sequence[Act]) -> AsyncIterator[TextPiece | AnswerEnd]:
        await asyncio.sleep(ANSWER_S)
        async for piece in super().play(script):
            yield piece


def world(limit: Decimal | None) -> World[LoopClock]:
    clock = LoopClock()
    wide = replace(backend("main"), price=DEAR, limits=replace(backend("main").limits, concurrency=TURNS))
    one = World(store=MemoryStore(clock), clock=clock, backends={"main": (wide, SlowBackend(says(ANSWER)))})
    limits = {} if limit is None else {BudgetScope.TENANT_DAY: limit}
    one.ledger.budget_counters = Ledger(one.store, clock, Budgets(limits=limits)).budget_counters
    return one


async def run(one: World[LoopClock], *, deadline_s: float = 1800) -> Response:
    response = await one.admit("hello", thread=one.clock.token(), deadline_s=deadline_s, max_output_tokens=16)
    await Run(clock=one.clock, steps=one.steps, done=[], history=[]).respond(turn_wire(response))
    return response


async def costs_of_one() -> tuple[Decimal, Decimal]:
    """Return what a turn costs, and what it holds until it has ended."""
    one = world(None)
    response = await run(one)
    attempts = await one.ledger.attempts(OWNER, response.id)
    return turn_cost(attempts), attempts[0].charge.reserved


async def status(one: World[LoopClock], response: Response) -> ResponseStatus:
    return (await one.turns.read(OWNER, response.id)).status


@pytest.mark.slow
def test_eighty_turns_at_once_use_the_whole_budget_and_none_fails() -> None:
    async def story() -> None:
        cost, held = await costs_of_one()
        limit = TURNS * cost + held
        assert TURNS * held > 2 * limit
        one = world(limit)
        responses = await asyncio.gather(*(run(one) for _ in range(TURNS)))
        assert {await status(one, each) for each in responses} == {ResponseStatus.COMPLETED}
        name = tenant_day_counter_id(one.ledger.budget_counters.configured, one.clock.now())
        counter = await one.store.read(money_key(OWNER.tenant), name)
        assert counter
        assert counter.body[HELD] == 0
        assert Decimal("0.9") <= Decimal(counter.body[TAKEN]) / NANOS / limit <= 1

    in_no_time(story())


def test_a_turn_that_waits_until_its_deadline_fails_for_lack_of_budget() -> None:
    async def story() -> None:
        _, held = await costs_of_one()
        one = world(held)
        other = asyncio.create_task(run(one))
        await asyncio.sleep(ANSWER_S / 2)
        late = await run(one, deadline_s=2.4)
        log = await one.turns.transcript(OWNER, late.id)
        assert log.ending
        assert (log.status, log.ending.code) == (ResponseStatus.FAILED, "insufficient_quota")
        assert await one.ledger.attempts(OWNER, late.id) == ()
        assert await status(one, await other) is ResponseStatus.COMPLETED

    in_no_time(story())


def test_a_turn_that_is_too_dear_for_what_is_not_spent_fails_at_once() -> None:
    async def story() -> None:
        cost, held = await costs_of_one()
        one = world(held + cost / 2)
        await run(one)
        began = one.clock.now()
        second = await run(one)
        assert await status(one, second) is ResponseStatus.FAILED
        assert one.clock.now() - began < ANSWER_S

    in_no_time(story())


@pytest.mark.parametrize(("limit", "ends_as"), [("0.01", "completed"), ("0.00001", "failed")])
async def test_a_turn_goes_to_a_backend_that_its_budget_covers_before_it_fails(limit: str, ends_as: str) -> None:
    """The turn was admitted when more was left, so its route does not know that the fast backend costs too much."""
    clock = FakeClock()
    fast = replace(backend("main"), price=DEAR, speed=replace(backend("main").speed, decode_tokens_s=1_000_000))
    slow = replace(backend("spare"), speed=replace(backend("spare").speed, decode_tokens_s=0.001))
    dear, cheap = FakeBackend(says("dear")), FakeBackend(says("cheap"))
    one = World(store=MemoryStore(clock), clock=clock, backends={"main": (fast, dear), "spare": (slow, cheap)})
    response = await one.admit("hello", max_output_tokens=16, deadline_s=86_400)
    budgets = Budgets(limits={BudgetScope.TENANT_DAY: Decimal(limit)})
    one.ledger.budget_counters = Ledger(one.store, clock, budgets).budget_counters
    await one.run(response)
    log = await one.log(response)
    assert log.ending
    assert (log.status.value, len(dear.calls), len(cheap.calls)) == (ends_as, 0, int(ends_as == "completed"))
    assert log.ending.code == ("" if ends_as == "completed" else "insufficient_quota")
