"""How long does the history of a turn get whose calls run as tasks of their servers for hours?"""

import itertools
from collections.abc import Sequence

import pytest

from domain.tools.call_record import STEP_LOOKS_S, RemoteTask
from tests.checks import every
from tests.orchestrators.durable_host import START, DurableHost, Fires, requests_of, steps
from tests.orchestrators.histories.paths import (
    ANTICIPATED,
    DONE,
    MINE,
    RECALLED,
    SIZE,
    TURN,
    WHOLE,
    Completes,
    asks,
    goes_on,
    looked_at,
    routed,
)

HOUR_S = 3600.0
DAY_S = 86_400.0
MOST_EVENTS = 250
"""A history that has counted 200 events by its results is ended at the next look, and its frames are not counted."""

EIGHT = tuple(f"mcp_{number}" for number in range(8))


def begun(after_s: float) -> RemoteTask:
    began = START.timestamp() + after_s
    return RemoteTask(id="t", poll_s=1.0, since=began, until=began + 2 * DAY_S)


def next_looks(host: DurableHost, tasks: Sequence[RemoteTask], *, apart_s: float) -> Completes:
    """Return what a step finds of tasks that go on; it looks at one after the other."""
    now = host.now.timestamp()
    times = [each.look_at(now + number * apart_s) - START.timestamp() for number, each in enumerate(tasks)]
    return looked_at(*map(goes_on, times))


def after_tasks(seconds: float, *, apart_s: float = 0.05) -> list[DurableHost]:
    """Return the histories of a turn with eight tasks that took so long.

    Each of them began, and is looked at, a little after the one before.
    """
    host = DurableHost(TURN)
    host.start()
    for event in (MINE, ANTICIPATED, RECALLED, routed(), asks(*EIGHT)):
        host.apply(event)
    tasks = [begun(host.now.timestamp() - START.timestamp() + number * apart_s) for number in range(len(EIGHT))]
    host.now = host.now.fromtimestamp(START.timestamp() + STEP_LOOKS_S, host.now.tzinfo)
    host.apply(next_looks(host, tasks, apart_s=apart_s))
    hosts = [host]
    while hosts[-1].now.timestamp() < START.timestamp() + seconds:
        hosts[-1].apply(Fires())
        hosts[-1].apply(next_looks(hosts[-1], tasks, apart_s=apart_s))
        if hosts[-1].done:
            hosts.append(DurableHost(hosts[-1].next_request, now=hosts[-1].now))
            hosts[-1].start()
    hosts[-1].apply(Fires())
    hosts[-1].apply(looked_at(*itertools.repeat(DONE, len(EIGHT))))
    return hosts


@pytest.mark.parametrize(
    ("seconds", "looks", "histories"), [(HOUR_S, 16, 1), pytest.param(DAY_S, 37, 2, marks=pytest.mark.slow)]
)
def test_tasks_that_take_long_are_looked_at_together_and_seldom(seconds: float, looks: int, histories: int) -> None:
    """A look is eight events for all tasks. A turn that has looked 25 times goes on in a new history."""
    hosts = after_tasks(seconds)
    found = [each for host in hosts for each in requests_of(host.history, "try_call_tools")][1:]
    timers = [each for host in hosts for each in steps(host.history) if each == "timer"]
    assert len(found) <= looks
    assert len(found) == len(timers)
    assert every(each["calls"] == list(EIGHT) and each["looks"] for each in found)
    assert len(hosts) == histories
    assert every(len(host.history) < MOST_EVENTS for host in hosts)
    for event in WHOLE:
        hosts[-1].apply(event)
    assert steps(hosts[-1].history)[-4:] == ["route", "infer", "finish", "settle"]
    [route] = requests_of(hosts[-1].history, "route")[-1:]
    assert route["size"]["likely"] == SIZE["likely"] * (2 + len(EIGHT))
    assert requests_of(hosts[-1].history, "infer")[-1]["attempt"] == 2


def test_an_instance_of_an_earlier_version_looks_at_each_task_alone() -> None:
    host = DurableHost(TURN, version="1.8")
    host.start()
    for event in (MINE, ANTICIPATED, RECALLED, routed(), asks("mcp_1", "mcp_2")):
        host.apply(event)
    for event in (looked_at(goes_on(20), goes_on(20)), Fires(), Completes(DONE), Completes(DONE)):
        host.apply(event)
    assert steps(host.history)[-4:] == ["timer", "call_tool", "call_tool", "route"]
