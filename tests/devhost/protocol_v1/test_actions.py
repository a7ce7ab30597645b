"""Are the actions that the SDK writes read as what they ask for, and is one that is not supported named?"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.durable_functions.models import actions as sdk
from azure.durable_functions.models.actions.CallEntityAction import CallEntityAction
from azure.durable_functions.models.actions.SignalEntityAction import SignalEntityAction
from azure.durable_functions.models.RetryOptions import RetryOptions as SdkRetryOptions
from azure.durable_functions.models.utils.entity_utils import EntityId

from devhost.protocol_v1.actions import (
    Action,
    CallActivity,
    CallSubOrchestrator,
    ContinueAsNew,
    CreateTimer,
    EntityAction,
    RetryOptions,
    UnsupportedActionError,
    WaitForEvent,
    WhenAll,
    WhenAny,
    action_from_wire,
    entity_id,
    find_desynchronising_call,
)

AT = datetime(2026, 11, 22, 5, 6, 29, 500_000, tzinfo=UTC)
RETRY = SdkRetryOptions(1500, 3)
ONCE = sdk.CallActivityAction("echo", [1])
AGAIN = sdk.CallActivityWithRetryAction("echo", RETRY, [1])
ECHO = CallActivity(name="echo", input="[1]")
RETRIED = CallActivity(name="echo", input="[1]", retry=RetryOptions(first_s=1.5, attempts=3))


def read(action: Any) -> Action:
    """Read an action as it arrives: the SDK's own object in JSON."""
    return action_from_wire(json.loads(json.dumps(action.to_json())))


@pytest.mark.parametrize(
    ("written", "action"),
    [
        (ONCE, ECHO),
        (AGAIN, RETRIED),
        (
            sdk.CallSubOrchestratorAction("c", {"a": 1}, "id"),
            CallSubOrchestrator(name="c", input='{"a": 1}', instance="id"),
        ),
        (sdk.CallSubOrchestratorAction("c", None, ""), CallSubOrchestrator(name="c", input="null")),
        (sdk.CreateTimerAction(AT), CreateTimer(fire_at=AT.timestamp(), cancelled=False)),
        (sdk.CreateTimerAction(AT, True), CreateTimer(fire_at=AT.timestamp(), cancelled=True)),
        (sdk.WaitForExternalEventAction("go"), WaitForEvent(name="go")),
        (
            CallEntityAction(EntityId("Counter", "K@1"), "add", 2),
            EntityAction(entity="@counter@K@1", operation="add", input='"2"', signal=False),
        ),
        (
            SignalEntityAction(EntityId("Counter", "k"), "add", 2),
            EntityAction(entity="@counter@k", operation="add", input='"2"', signal=True),
        ),
        (sdk.WhenAllAction([ONCE, AGAIN]), WhenAll(children=(ECHO, RETRIED))),
        (
            sdk.WhenAnyAction([ONCE, sdk.CreateTimerAction(AT)]),
            WhenAny(children=(ECHO, CreateTimer(fire_at=AT.timestamp(), cancelled=False))),
        ),
    ],
)
def test_what_the_sdk_writes_is_read(written: Any, action: Action) -> None:
    assert read(written) == action


def test_continue_as_new_keeps_its_input() -> None:
    assert action_from_wire({"actionType": 4, "input": '{"a": 1}'}) == ContinueAsNew(input='{"a": 1}')


def test_a_signal_for_later_has_its_time() -> None:
    wire = {
        "actionType": 10,
        "instanceId": "@Counter@k",
        "operation": "add",
        "input": "2",
        "fireAt": "1970-01-01T00:00:05Z",
    }
    assert action_from_wire(wire) == EntityAction(
        entity="@counter@k", operation="add", input='"2"', signal=True, due=5.0
    )


def test_an_action_that_is_not_supported_is_named() -> None:
    with pytest.raises(UnsupportedActionError, match="action type 99 is not supported"):
        action_from_wire({"actionType": 99})


@pytest.mark.parametrize(
    ("options", "delays_s"),
    [
        (RetryOptions(first_s=2.0, attempts=5), [2, 2, 2]),
        (RetryOptions(first_s=2.0, attempts=5, factor=3.0), [2, 6, 18]),
        (RetryOptions(first_s=2.0, attempts=5, factor=3.0, longest_s=7.0), [2, 6, 7]),
    ],
)
def test_each_retry_waits_longer_by_the_factor_up_to_the_longest(options: RetryOptions, delays_s: list[float]) -> None:
    assert [options.delay_s(failures) for failures in (1, 2, 3)] == delays_s


@pytest.mark.parametrize(
    ("actions", "name"),
    [
        ((ECHO, RETRIED), None),
        ((WhenAll(children=(RETRIED,)),), None),
        ((WhenAll(children=(ECHO, ECHO)),), None),
        ((WhenAll(children=(ECHO, RETRIED)),), "echo"),
        ((WhenAny(children=(WhenAll(children=(RETRIED,)), ECHO)),), "echo"),
        ((WhenAll(children=(WhenAny(children=(RETRIED, ECHO)),)),), "echo"),
        ((ECHO, WhenAny(children=(CreateTimer(fire_at=1.0, cancelled=False), RETRIED))), "echo"),
    ],
)
def test_a_retried_call_is_found_where_it_shares_a_compound(actions: tuple[Action, ...], name: str | None) -> None:
    assert find_desynchronising_call(actions) == name


def test_the_id_of_an_entity_has_its_name_in_lower_case() -> None:
    assert entity_id("Counter", "Key") == "@counter@Key"
