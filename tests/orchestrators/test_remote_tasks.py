"""How long does the history of a turn get whose calls run as tasks of their servers for hours?"""

import itertools
from collections.abc import Sequence

import pytest

from domain.tools.call_record import STEP_LOOKS_S, RemoteTask
from tests.checks import every
from tests.orchestrators.durable_host import START, DurableHost, Fires, requests_of, steps
from tests.orchestrators.paths import (
    ANTICIPATED,
    DONE,
    MINE,
    RECALLED,
    TURN,
    Completes,
    asks,
    goes_on,
    looked_at,
    routed,
)

HOUR_S = 3600.0
DAY_S = 86_400.0
EIGHT = tuple(f"mcp_{number}" for number in range(8))


def begun(after_s: float) -> RemoteTask:
    began = START.timestamp() + after_s
    return RemoteTask(id="t", poll_s=1.0, since=began, until=began + 2 * DAY_S)


def next_looks(host: DurableHost, tasks: Sequence[RemoteTask], *, apart_s: float) -> Completes:
    """Return what a step finds of tasks that go on; it looks at one after the other."""
    now = host.now.timestamp()
    times = [each.look_at(now + number * apart_s) - START.timestamp() for number, each in enumerate(tasks)]
    return looked_at(*map(goes_on, times))


def after_tasks(seconds: float, *, apart_s: float = 0.05) -> DurableHost:
    """Return a turn with eight tasks that took so long: each began and is looked at a little after the one before."""
    host = DurableHost(TURN)
    host.start()
    for event in (MINE, ANTICIPATED, RECALLED, routed(), asks(*EIGHT)):
        host.apply(event)
    tasks = [begun(host.now.timestamp() - START.timestamp() + number * apart_s) for number in range(len(EIGHT))]
    host.now = host.now.fromtimestamp(START.timestamp() + STEP_LOOKS_S, host.now.tzinfo)
    host.apply(next_looks(host, tasks, apart_s=apart_s))
    while host.now.timestamp() < START.timestamp() + seconds:
        host.apply(Fires())
        host.apply(next_looks(host, tasks, apart_s=apart_s))
    host.apply(Fires())
    host.apply(looked_at(*itertools.repeat(DONE, len(EIGHT))))
    return host


@pytest.mark.parametrize(("seconds", "looks"), [(HOUR_S, 16), (DAY_S, 36)])
def test_tasks_that_take_long_are_looked_at_together_and_seldom(seconds: float, looks: int) -> None:
    """Eight events a look at most, for all tasks together. After a day the turn goes on in a new history."""
    host = after_tasks(seconds)
    found = requests_of(host.history, "try_call_tools")
    assert steps(host.history).count("call_tool") == 0
    assert len(found) - 1 == steps(host.history).count("timer") <= looks
    assert every(each["calls"] == list(EIGHT) and each["looks"] for each in found[1:])
    assert (host.next_request is not None) is (seconds == DAY_S)


def test_an_instance_of_an_earlier_version_looks_at_each_task_alone() -> None:
    host = DurableHost(TURN, version="1.8")
    host.start()
    for event in (MINE, ANTICIPATED, RECALLED, routed(), asks("mcp_1", "mcp_2")):
        host.apply(event)
    for event in (looked_at(goes_on(20), goes_on(20)), Fires(), Completes(DONE), Completes(DONE)):
        host.apply(event)
    assert steps(host.history)[-4:] == ["timer", "call_tool", "call_tool", "route"]
