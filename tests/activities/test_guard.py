"""Does a step tell what it must when it fails, and nothing of a caller's content?"""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable

import pytest

from activities.guard import StepFailed, as_activity, log_and_mask
from clients.storage.request_units import charged
from domain import wire
from domain.errors import GanglionError, Invalid, NotFound, Unavailable
from tests.fakes.clocks import FakeClock

GIVEN: wire.TurnWire = {"tenant": "t", "subject": "user:1", "response": "resp_1", "traceparent": ""}
SECRET = "a caller's secret"


def failing(error: Exception) -> Callable[[wire.TurnWire], Awaitable[None]]:
    async def step(given: wire.TurnWire) -> None:
        raise error from LookupError(SECRET)

    return log_and_mask("step", step)


async def test_what_a_step_gives_is_given_on() -> None:
    async def step(given: wire.TurnWire) -> str:
        return given["response"]

    guard = log_and_mask("step", step)
    assert await guard(GIVEN) == "resp_1"
    assert guard.__name__ == "step"


@pytest.mark.parametrize("error", [NotFound("no such response"), Unavailable("no answer"), Invalid("wrong")])
async def test_an_error_raised_on_purpose_passes_without_its_cause(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(type(error)) as caught:
        await failing(error)(GIVEN)
    assert caught.value is error
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caplog.messages == [f"step of resp_1: {type(error).__name__}: {error}"]


@pytest.mark.parametrize("error", [ValueError(SECRET), KeyError(SECRET), RecursionError(SECRET), OSError(SECRET)])
async def test_an_error_that_nobody_foresaw_tells_its_type_alone(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StepFailed) as caught:
        await failing(error)(GIVEN)
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert str(caught.value) == f"step failed: {type(error).__name__}"
    assert SECRET not in told
    assert "test_guard.py" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_process_that_ends_is_no_failure_of_the_step() -> None:
    async def step(given: wire.TurnWire) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await log_and_mask("step", step)(GIVEN)


@pytest.mark.parametrize("error", [NotFound("no such response"), ValueError(SECRET)])
async def test_a_step_that_runs_beside_others_tells_its_failure_instead_of_raising_it(error: Exception) -> None:
    async def step(given: wire.TurnWire) -> None:
        raise error

    told = await as_activity(wire.TRY_RECALL, step, FakeClock())(GIVEN)
    assert told["value"] is None
    assert told["problem"]
    assert SECRET not in told["problem"]
    with pytest.raises(GanglionError):
        await as_activity(wire.RECALL, step, FakeClock())(GIVEN)


async def test_a_step_that_runs_beside_others_gives_its_value_in_an_envelope() -> None:
    async def step(given: wire.TurnWire) -> str:
        return given["response"]

    told = await as_activity(wire.TRY_RECALL, step, FakeClock())(GIVEN)
    assert {name: told[name] for name in ("value", "problem")} == {"value": "resp_1", "problem": ""}


async def test_a_step_tells_how_long_it_took_and_what_the_store_charged_for_it() -> None:
    clock = FakeClock()

    async def step(given: wire.TurnWire) -> wire.FinishedWire:
        await asyncio.gather(*(charge(units) for units in (1.25, 2.0)))
        clock.advance(0.5)
        return {"status": "completed"}

    async def charge(units: float) -> None:
        charged(units)

    told = await as_activity(wire.FINISH, step, clock)(GIVEN)
    assert told == {"status": "completed", "spent": {"units": 3.25, "seconds": 0.5}}
