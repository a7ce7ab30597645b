"""Does a turn of many rounds go on in a new history with all that it has?"""

import json

import pytest

from tests.orchestrators.durable_host import DurableHost, EventType, HostEvent, requests_of, steps
from tests.orchestrators.histories.paths import (
    ANTICIPATED,
    COLD,
    MANY_ROUNDS,
    MINE,
    RECALLED,
    ROUND,
    SIZE,
    TURN,
    WHOLE,
    Completes,
    Fires,
    host_of,
    routed,
)

SPENT = {"units": 2.0, "seconds": 0.1}


def played(host: DurableHost, *events: HostEvent) -> DurableHost:
    host.start()
    for event in events:
        host.apply(event)
    return host


def test_a_turn_of_many_rounds_goes_on_where_it_was() -> None:
    first = host_of("called_in_many_rounds")
    assert first.done
    second = played(DurableHost(first.next_request), *WHOLE)
    assert second.done
    assert steps(second.history) == ["route", "infer", "finish", "settle"]
    (route,), (infer,) = requests_of(second.history, "route"), requests_of(second.history, "infer")
    assert (route["number"], infer["attempt"]) == (17, 17)
    assert route["size"]["likely"] == SIZE["likely"] * (1 + 2 * 16)
    assert "continued" not in route
    (completed,) = [event for event in second.history if event["EventType"] == EventType.EXECUTION_COMPLETED]
    assert json.loads(completed["Result"]) == {"status": "completed", "cost": "0.0021"}


def test_what_was_used_and_waited_for_is_settled_at_the_end() -> None:
    spending = [Completes({**routed().result, "spent": SPENT}), COLD, Fires(), *MANY_ROUNDS]
    first = played(DurableHost(TURN), MINE, ANTICIPATED, RECALLED, *spending[: 3 + 3 * 15])
    second = played(DurableHost(first.next_request), Completes({**routed().result, "spent": SPENT}), *WHOLE[1:])
    (settle,) = requests_of(second.history, "settle")
    assert (settle["spent"]["units"], settle["spent"]["executions"]) == (4.0, 4)
    assert len(settle["waits"]) == 1


def test_it_may_go_on_more_than_once() -> None:
    first = host_of("called_in_many_rounds")
    second = played(DurableHost(first.next_request), *ROUND * 17)
    third = played(DurableHost(second.next_request), *WHOLE)
    assert requests_of(third.history, "infer")[0]["attempt"] == 16 + 17 + 1


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_an_instance_of_an_earlier_version_keeps_one_history(version: str) -> None:
    host = played(DurableHost(TURN, version=version), MINE, ANTICIPATED, RECALLED, *MANY_ROUNDS, *WHOLE[:1])
    assert (host.done, host.next_request) == (False, None)
    assert steps(host.history)[-1] == "infer"
