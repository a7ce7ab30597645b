"""Does a route use the current backend states, is it recorded once, and does its result have what a step needs?"""

from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from clients.orchestrations import turn_wire
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Diagnosis, FailureClass
from domain.log.events import ResponseStatus
from domain.turns.response import Response
from state.fleet.backend_state import BackendStates
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, World, backend

SIZE = {"expected": 100, "likely": 110, "ceiling": 150, "bytes": 400}


def world(*backends: Backend) -> World:
    clock = FakeClock()
    made = {each.name: (each, FakeBackend(says("x"))) for each in backends or (backend("main"),)}
    return World(store=MemoryStore(clock), clock=clock, backends=made)


async def routed(one: World, response: Response, *, number: int = 1, excluded: dict[str, str] | None = None) -> Any:
    request = {**turn_wire(response), "number": number, "size": SIZE, "excluded": excluded or {}}
    return await one.steps["route"](request)


async def throttled(one: World, name: str, delay_s: float) -> None:
    diagnosis = Diagnosis(failure_class=FailureClass.THROTTLED, delay_s=delay_s, reason="status 429")
    one_backend = one.fleet.backends[name]
    await BackendStates(one.store, one.clock).record_failure(
        one_backend, diagnosis, "attempt_0", asked_at=one.clock.now()
    )


async def test_a_route_has_what_its_attempt_needs() -> None:
    one = world()
    found = await routed(one, await one.admit("hello", max_output_tokens=64))
    assert (found["backend"], found["output_tokens"], found["has_alternative"], found["delay_s"]) == (
        "main",
        64,
        False,
        0.0,
    )
    assert Decimal(found["worst_cost"]) > 0
    assert "e" not in found["worst_cost"].lower()
    assert "main" in found["reason"]


async def test_a_turn_without_a_limit_gets_the_limit_of_the_settings() -> None:
    one = world()
    assert (await routed(one, await one.admit("hello")))["output_tokens"] == 512


async def test_a_repeated_route_returns_the_recorded_one() -> None:
    one = world(backend("one"), backend("two"))
    response = await one.admit("hello", model="auto")
    first = await routed(one, response)
    await throttled(one, first["backend"], 60)
    assert await routed(one, response) == first
    second = await routed(one, response, number=2)
    assert second["backend"] != first["backend"]
    records = await one.turns.routes(OWNER, response.id)
    assert [(each["number"], each["routed"]["backend"]) for each in records] == [
        (1, first["backend"]),
        (2, second["backend"]),
    ]


async def test_an_excluded_backend_is_not_chosen_and_the_record_has_the_reason() -> None:
    one = world(backend("one"), backend("two"))
    response = await one.admit("hello", model="auto")
    first = await routed(one, response)
    other = await routed(one, response, number=2, excluded={first["backend"]: "status 500: it broke"})
    assert other["backend"] not in (None, first["backend"])
    assert not other["has_alternative"]
    assert "it broke" in str((await one.turns.routes(OWNER, response.id))[1]["route"])


async def test_a_turn_without_an_available_backend_learns_when_to_route_again() -> None:
    one = world()
    await throttled(one, "main", 30)
    found = await routed(one, await one.admit("hello"))
    assert found["backend"] is None
    assert found["delay_s"] == pytest.approx(30)
    assert "main" in found["reason"]


async def test_there_is_no_pause_beyond_the_deadline() -> None:
    one = world()
    response = await one.admit("hello")
    one.clock.advance(response.deadline_at - one.clock.now() - 20)
    await throttled(one, "main", 30)
    found = await routed(one, response)
    assert (found["backend"], found["delay_s"]) == (None, 0.0)


@pytest.mark.parametrize(("model", "why"), [("another", "'another' does not exist"), ("model@nowhere", "'nowhere'")])
async def test_a_turn_that_no_backend_takes_gets_the_reason(model: str, why: str) -> None:
    one = world()
    found = await routed(one, await one.admit("hello", model=model))
    assert (found["backend"], found["delay_s"], found["worst_cost"]) == (None, 0.0, "0")
    assert why in found["reason"]


async def test_a_conversation_that_fits_no_backend_is_rejected() -> None:
    tiny = replace(backend("main"), limits=replace(backend("main").limits, context_tokens=128))
    one = world(tiny)
    found = await routed(one, await one.admit("hello", max_output_tokens=64))
    assert found["backend"] is None


async def test_a_turn_that_was_ended_from_outside_gets_no_backend_and_does_not_wait_for_one() -> None:
    one = world()
    response = await one.admit("hello")
    await throttled(one, "main", 30.0)
    assert (await routed(one, response))["delay_s"] > 0
    await one.turns.finish(OWNER, response.id, status=ResponseStatus.CANCELLED)
    found = await routed(one, response, number=2)
    assert (found["backend"], found["delay_s"]) == (None, 0.0)
    assert len(await one.turns.routes(OWNER, response.id)) == 1
