"""Does a failed step report its error, and nothing of a caller's content?"""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable

import pytest

from activities.guard import StepFailed, as_activity, log_and_mask
from clients.storage.request_units import add_charge
from domain import wire
from domain.errors import GanglionError, Invalid, NotFound, Unavailable
from tests.fakes.clocks import FakeClock

REQUEST: wire.TurnWire = {"tenant": "t", "subject": "user:1", "response": "resp_1", "traceparent": ""}
SECRET = "a caller's secret"


def failing(error: Exception) -> Callable[[wire.TurnWire], Awaitable[None]]:
    async def step(request: wire.TurnWire) -> None:
        raise error from LookupError(SECRET)

    return log_and_mask("step", step)


async def test_the_result_of_a_step_is_returned() -> None:
    async def step(request: wire.TurnWire) -> str:
        return request["response"]

    guard = log_and_mask("step", step)
    assert await guard(REQUEST) == "resp_1"
    assert guard.__name__ == "step"


@pytest.mark.parametrize("error", [NotFound("no such response"), Unavailable("no answer"), Invalid("wrong")])
async def test_an_expected_error_is_raised_without_its_cause(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(type(error)) as caught:
        await failing(error)(REQUEST)
    assert caught.value is error
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caplog.messages == [f"step of resp_1 failed: {type(error).__name__}: {error}"]


@pytest.mark.parametrize("error", [ValueError(SECRET), KeyError(SECRET), RecursionError(SECRET), OSError(SECRET)])
async def test_an_unexpected_error_is_reported_by_its_type_alone(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StepFailed) as caught:
        await failing(error)(REQUEST)
    report = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert str(caught.value) == f"step failed: {type(error).__name__}"
    assert SECRET not in report
    assert "test_guard.py" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_the_end_of_the_process_is_no_failure_of_the_step() -> None:
    async def step(request: wire.TurnWire) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await log_and_mask("step", step)(REQUEST)


@pytest.mark.parametrize("error", [NotFound("no such response"), ValueError(SECRET)])
async def test_a_step_that_runs_in_parallel_returns_its_failure(error: Exception) -> None:
    async def step(request: wire.TurnWire) -> None:
        raise error

    result = await as_activity(wire.TRY_RECALL, step, FakeClock())(REQUEST)
    assert result["value"] is None
    assert result["problem"]
    assert SECRET not in result["problem"]
    with pytest.raises(GanglionError):
        await as_activity(wire.RECALL, step, FakeClock())(REQUEST)


async def test_a_step_that_runs_in_parallel_returns_its_value_in_an_envelope() -> None:
    async def step(request: wire.TurnWire) -> str:
        return request["response"]

    result = await as_activity(wire.TRY_RECALL, step, FakeClock())(REQUEST)
    assert {name: result[name] for name in ("value", "problem")} == {"value": "resp_1", "problem": ""}


async def test_a_result_includes_the_seconds_and_request_units_of_its_step() -> None:
    clock = FakeClock()

    async def step(request: wire.TurnWire) -> wire.FinishedWire:
        await asyncio.gather(*(charge(units) for units in (1.25, 2.0)))
        clock.advance(0.5)
        return {"status": "completed"}

    async def charge(units: float) -> None:
        add_charge(units)

    result = await as_activity(wire.FINISH, step, clock)(REQUEST)
    assert result == {"status": "completed", "spent": {"units": 3.25, "seconds": 0.5}}
