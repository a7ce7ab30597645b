"""What happens to an attempt's record when the run that opened it is lost, or superseded?"""

import asyncio
from copy import replace
from decimal import Decimal
from typing import Any

from activities.inference.lost_runs import LEAST_TOKENS
from clients.backends.port import TextPiece
from domain.log.events import EventKind, LogEvent, ResponseStatus, Slot
from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.ledger_records import AttemptRecord
from domain.turns.response import Response
from state.fleet.backend_state import BackendStates
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, PRICE, World, backend


def world() -> World:
    clock = FakeClock()
    return World(store=MemoryStore(clock), clock=clock, backends={"main": (backend("main"), FakeBackend(says("x")))})


def attempt(one: World, response: Response) -> AttemptRecord:
    return AttemptRecord(
        response=response.id,
        subject=OWNER.subject,
        number=1,
        backend="main",
        price=PRICE.name,
        started_at=one.clock.now(),
        charge=AttemptCharge(reserved=Decimal("0.5")),
    )


def request_of(response: Response) -> dict[str, Any]:
    turn = {"tenant": OWNER.tenant, "subject": OWNER.subject, "response": response.id, "traceparent": ""}
    attempt = {"attempt": 1, "backend": "main", "worst_cost": "0.5", "output_tokens": 10}
    return {**turn, **attempt, "retries": 0, "has_alternative": False}


async def recorded(one: World, response: Response) -> AttemptRecord:
    (found,) = await one.ledger.attempts(OWNER, response.id)
    return found


async def test_a_run_that_died_before_a_cancel_is_charged_for_its_text_and_a_margin() -> None:
    one = world()
    response = await one.admit("count")
    await one.ledger.open_attempt(OWNER, attempt(one, response))
    await one.turns.begin(OWNER, response.id, execution="first")
    text = (LogEvent(kind=EventKind.STARTED),)
    slot = Slot(number=2, writer="infer", first=2, at=one.clock.now(), events=text, pieces=3)
    assert await one.turns.append(OWNER, response.id, slot)
    await one.turns.finish(OWNER, response.id, status=ResponseStatus.CANCELLED)
    assert (await one.steps["infer"](request_of(response)))["result"] == "ended"
    closed = await recorded(one, response)
    assert closed.charge.status is AttemptStatus.CLOSED
    assert closed.progress.result == "ended"
    assert closed.progress.usage
    assert closed.progress.usage.output_tokens == 3
    assert closed.charge.cost == PRICE.output * (3 + LEAST_TOKENS) / 1_000_000


async def test_a_superseded_run_cannot_close_the_record() -> None:
    one = world()
    response = await one.admit("count")
    first = await one.ledger.open_attempt(OWNER, attempt(one, response))
    second = await one.ledger.open_attempt(OWNER, attempt(one, response))
    late = replace(
        first,
        charge=replace(first.charge, status=AttemptStatus.CLOSED, cost=Decimal(9)),
        progress=replace(first.progress, result="ended"),
    )
    await one.ledger.close_attempt(OWNER, late)
    assert (await recorded(one, response)).charge.status is AttemptStatus.OPEN
    done = replace(
        second,
        charge=replace(second.charge, status=AttemptStatus.CLOSED, cost=Decimal(1)),
        progress=replace(second.progress, result="done"),
    )
    await one.ledger.close_attempt(OWNER, done)
    await one.ledger.close_attempt(OWNER, late)
    await one.ledger.close_attempt(OWNER, replace(done, charge=replace(done.charge, cost=Decimal(9))))
    assert await recorded(one, response) == done


async def test_settling_closes_a_lost_attempt_at_its_reservation() -> None:
    one = world()
    response = await one.admit("count")
    await one.ledger.open_attempt(OWNER, attempt(one, response))
    assert (await one.ledger.settle(OWNER, response.id)).cost == Decimal("0.5")
    lost = await recorded(one, response)
    assert (lost.charge.status, lost.progress.result, lost.charge.cost) == (
        AttemptStatus.CLOSED,
        "lost",
        Decimal("0.5"),
    )
    assert (await one.ledger.settle(OWNER, response.id)).cost == Decimal("0.5")


async def test_a_cancelled_call_is_no_longer_counted_as_running() -> None:
    clock, held = FakeClock(), asyncio.Event()
    script = [TextPiece(text="one"), held, TextPiece(text=" two")]
    main = backend("main")
    one = World(store=MemoryStore(clock), clock=clock, backends={"main": (main, FakeBackend(script))})
    response = await one.admit("count")
    await one.turns.begin(OWNER, response.id, execution="first")
    running = asyncio.ensure_future(one.steps["infer"](request_of(response)))
    while not (await one.log(response)).items:
        await one.turns.wait_for_slot(response.id, within_s=1)
    await one.turns.finish(OWNER, response.id, status=ResponseStatus.CANCELLED)
    held.set()
    assert (await running)["result"] == "ended"
    states = await BackendStates(one.store, clock).read({"main": main})
    assert states["main"].load.running(clock.now()) == 0
