"""Does the due time of a schedule determine its turn?"""

from copy import replace

import pytest

from api.pipelines.schedules import due_time
from domain.errors import Unavailable
from domain.log.events import ResponseStatus
from domain.pipelines.event_run import EventRun
from domain.pipelines.pipeline import TriggerKind
from tests.api.pipelines.events import TICKETS, piped
from tests.fakes.backends import FakeBackend, says

NOW = 1_800_000_000.0
NEXT = "2027-01-15T08:00:00+00:00"
"""The same time."""


@pytest.mark.parametrize(
    ("status", "due"),
    [
        ({"Next": NEXT}, NOW),
        ({"Next": "2027-01-15T09:00:00+01:00"}, NOW),
        ({"Next": "2027-01-15T07:00:00Z"}, NOW - 3600),
        ({"Next": "2027-01-15T08:00:04.5"}, NOW + 4),
        ({"Next": "2027-01-15T09:00:00+00:00"}, NOW),
        ({"Next": "0001-01-01T00:00:00"}, NOW),
        ({"Next": "soon"}, NOW),
        ({}, NOW),
    ],
)
def test_the_due_time_is_that_of_the_host_or_now(status: dict[str, str], due: float) -> None:
    assert due_time(status, now=NOW + 0.2) == due


async def test_a_timer_that_fires_twice_has_one_turn() -> None:
    model = FakeBackend(says("a report"))
    morning = replace(TICKETS, name="morning", trigger=TriggerKind.SCHEDULE, schedule="0 0 6 * * *", text="Report.")
    one = piped(morning, model=model)
    schedules, now = one.world.app.pipelines.schedules, one.world.clock.now()
    runs = [await schedules.fire(morning, {}, one.orchestrations) for _ in range(2)]
    await one.orchestrations.ended()
    assert len({run.response for run in runs}) == len(model.calls) == 1
    assert model.calls[0].items[-1].text == "Report."
    one.world.clock.advance(86_400)
    later = await schedules.fire(morning, {}, one.orchestrations)
    await one.orchestrations.ended()
    assert later.response != runs[0].response
    assert one.world.clock.now() > now


async def test_an_occurrence_outlasts_a_store_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    morning = replace(TICKETS, name="morning", trigger=TriggerKind.SCHEDULE, schedule="0 0 6 * * *", text="Report.")
    one = piped(morning)
    schedules, tries = one.world.app.pipelines.schedules, 0
    real = schedules.turns.runs.accept

    async def accept(run: EventRun) -> EventRun:
        nonlocal tries
        tries += 1
        if tries <= 30:
            raise Unavailable("the store is down")
        return await real(run)

    monkeypatch.setattr(schedules.turns.runs, "accept", accept)
    run = await schedules.fire(morning, {}, one.orchestrations)
    await one.orchestrations.ended()
    assert (await one.world.turns.read(run.owner, run.response)).status is ResponseStatus.COMPLETED
