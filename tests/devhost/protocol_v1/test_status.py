"""How does the management API describe an instance, and read a query?"""

from base64 import urlsafe_b64encode
from copy import replace

import pytest

from devhost.engine.model.instances import InstanceQuery, OrchestrationInstance, RuntimeStatus
from devhost.protocol_v1.status import (
    StatusParts,
    continuation_token,
    history_entries,
    position_from_token,
    query_from_wire,
    status_code,
    status_to_wire,
)
from tests.devhost.protocol_v1.test_history import EVENTS, STAMP, instance


def test_a_status_shows_parsed_values_and_reasons_as_they_are() -> None:
    found = status_to_wire(instance(input='"[1]"', custom_status='{"a": 1}', output="no JSON"), StatusParts())
    assert found == {
        "name": "o",
        "instanceId": "i1",
        "runtimeStatus": "Running",
        "input": "[1]",
        "customStatus": {"a": 1},
        "output": "no JSON",
        "createdTime": "2026-11-22T05:06:29Z",
        "lastUpdatedTime": "2026-11-22T05:06:29Z",
    }
    assert status_to_wire(instance(input="1"), StatusParts(input=False))["input"] is None


def test_a_compact_history_joins_completions_with_what_they_complete() -> None:
    history = [EVENTS[0][0], EVENTS[1][0], EVENTS[2][0], EVENTS[9][0]]
    assert history_entries(history, StatusParts(history_output=True)) == [
        {"EventType": "ExecutionStarted", "Timestamp": STAMP, "Input": '"{\\"n\\": 3}"', "FunctionName": "o"},
        {
            "EventType": "TaskCompleted",
            "Timestamp": STAMP,
            "Result": "Hello Bob",
            "ScheduledTime": STAMP,
            "FunctionName": "hello",
        },
    ]
    assert "Result" not in history_entries(history, StatusParts())[1]
    assert "Input" not in history_entries(history, StatusParts(input=False))[0]


@pytest.mark.parametrize("found", [instance(), replace(instance(), id="ä", created=0.0)])
def test_a_page_continues_after_its_last_instance(found: OrchestrationInstance) -> None:
    assert position_from_token(continuation_token(found)) == (found.created, found.id)


CONTENTS = (
    "",
    "x",
    "5",
    "null",
    "[]",
    "[1]",
    "[null, 1]",
    '{"a": 1, "b": 2}',
    '["a", "b"]',
    f"[1{'0' * 400}, 1]",
    '[1, "\\ud800"]',
    "[1, 1]",
)


@pytest.mark.parametrize("token", [*(urlsafe_b64encode(each.encode()).decode() for each in CONTENTS), "%", "_", "ä"])
def test_a_token_that_this_host_did_not_write_is_rejected(token: str) -> None:
    with pytest.raises(ValueError, match="continuation token"):
        position_from_token(token)


def test_a_query_is_read_from_its_parameters() -> None:
    query = query_from_wire(
        {
            "createdTimeFrom": "1970-01-01T00:00:10Z",
            "createdTimeTo": "1970-01-01T01:00:20+01:00",
            "runtimeStatus": "Failed,ContinuedAsNew,Completed",
            "instanceIdPrefix": "p",
            "top": "7",
        }
    )
    assert query == InstanceQuery(
        created_from=10.0,
        created_to=20.0,
        statuses=frozenset({RuntimeStatus.FAILED, RuntimeStatus.COMPLETED}),
        prefix="p",
        limit=7,
    )
    assert query_from_wire({}) == InstanceQuery()


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"top": "0"}, "top is not a positive number of at most 1000000"),
        ({"top": "1.5"}, "invalid literal"),
        ({"top": "9" * 30}, "top is not a positive number of at most"),
        ({"runtimeStatus": "Asleep"}, "'Asleep' is not a valid RuntimeStatus"),
        ({"createdTimeTo": "soon"}, "Invalid isoformat string: 'soon'"),
    ],
)
def test_a_query_that_cannot_be_read_is_rejected(query: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        query_from_wire(query)


@pytest.mark.parametrize(
    ("status", "query", "code"),
    [
        (RuntimeStatus.RUNNING, {}, 202),
        (RuntimeStatus.SUSPENDED, {}, 202),
        (RuntimeStatus.COMPLETED, {}, 200),
        (RuntimeStatus.FAILED, {}, 200),
        (RuntimeStatus.FAILED, {"returnInternalServerErrorOnFailure": "True"}, 500),
        (RuntimeStatus.TERMINATED, {"returnInternalServerErrorOnFailure": "true"}, 200),
    ],
)
def test_the_code_of_a_status_says_whether_the_instance_has_ended(
    status: RuntimeStatus, query: dict[str, str], code: int
) -> None:
    assert status_code(replace(instance(), status=status), query) == code
