"""Are the functions of an app found by their triggers and names, and is a missing setting named?"""

from collections.abc import Mapping
from typing import Any

import pytest

from devhost.app.catalog import (
    UnresolvedSettingError,
    catalog_from_worker,
    find_setting,
    newer_sdk_functions,
    resolve_settings,
    unsupported_bindings,
)
from devhost.supervisor.messages import IndexedFunction, WorkerReady

SETTINGS = {"QUEUE": "orders", "EVERY": "0 0 * * * *", "A__B": "nested"}


def ready(**functions: list[dict[str, Any]]) -> WorkerReady:
    found = [IndexedFunction(name=name, id=name, bindings=tuple(each)) for name, each in functions.items()]
    return WorkerReady(functions=tuple(found), http="http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ("%QUEUE%", "orders"),
        ("in-%QUEUE%-%QUEUE%", "in-orders-orders"),
        ("%A:B%", "nested"),
        ("100% of 5 %", "100% of 5 %"),
        (["%QUEUE%", 7], ["orders", 7]),
        (
            {"schedule": "%EVERY%", "nested": {"name": "%QUEUE%"}},
            {"schedule": "0 0 * * * *", "nested": {"name": "orders"}},
        ),
        ({"route": "%NOWHERE%/{id}"}, {"route": "%NOWHERE%/{id}"}),
        (None, None),
    ],
)
def test_settings_are_put_into_every_text_of_a_binding(value: Any, resolved: Any) -> None:
    assert resolve_settings(value, SETTINGS) == resolved


def test_a_setting_that_does_not_exist_is_named() -> None:
    with pytest.raises(UnresolvedSettingError, match="'%NOWHERE%' does not resolve to a value"):
        resolve_settings({"queueName": ["%NOWHERE%"]}, SETTINGS)
    assert resolve_settings("%NOWHERE%", SETTINGS, strict=False) == "%NOWHERE%"


@pytest.mark.parametrize(("name", "text"), [("QUEUE", "orders"), ("A:B", "nested"), ("A__B", "nested"), ("C", None)])
def test_a_colon_of_a_name_is_two_underscores_in_the_environment(name: str, text: str | None) -> None:
    assert find_setting(name, SETTINGS) == text


def test_functions_are_found_by_their_durable_names_in_lower_case() -> None:
    catalog = catalog_from_worker(
        ready(
            b_chain=[{"type": "orchestrationTrigger", "name": "context", "orchestration": "Chain"}],
            A_echo=[{"type": "activityTrigger", "name": "given"}],
            counter=[{"type": "entityTrigger", "name": "context", "entityName": "Counter"}],
            page=[{"type": "http", "name": "$return"}, {"type": "httpTrigger", "name": "req"}],
        )
    )
    assert (list(catalog.orchestrators), list(catalog.activities), list(catalog.entities)) == (
        ["chain"],
        ["a_echo"],
        ["counter"],
    )
    assert list(catalog.functions) == ["A_echo", "b_chain", "counter", "page"]
    assert [each.name for each in catalog.of_type("httpTrigger")] == ["page"]
    assert (catalog.http, catalog.errors) == ("http://127.0.0.1:1", ())


def test_a_function_without_its_setting_is_left_out_and_named() -> None:
    catalog = catalog_from_worker(
        ready(
            works=[{"type": "queueTrigger", "name": "m", "queueName": "%QUEUE%"}],
            broken=[{"type": "queueTrigger", "name": "m", "queueName": "%NOWHERE%"}],
        ),
        SETTINGS,
    )
    assert list(catalog.functions) == ["works"]
    assert catalog.functions["works"].trigger["queueName"] == "orders"
    assert catalog.errors == ("the function 'broken' is in error: '%NOWHERE%' does not resolve to a value",)


@pytest.mark.parametrize(
    ("binding", "unsupported"),
    [
        ({"type": "blobTrigger", "name": "b"}, ["blobTrigger"]),
        ({"type": "HttpTrigger", "name": "r"}, []),
        ({"type": "timerTrigger", "name": "t"}, []),
    ],
)
def test_bindings_that_this_host_does_not_support_are_listed(
    binding: Mapping[str, Any], unsupported: list[str]
) -> None:
    (function,) = catalog_from_worker(ready(f=[dict(binding)])).functions.values()
    assert unsupported_bindings(function) == unsupported


def test_functions_of_the_next_durable_sdk_are_found() -> None:
    asks = {"type": "orchestrationTrigger", "name": "context", "durableRequiresGrpc": True}
    found = ready(old=[{"type": "orchestrationTrigger", "name": "context"}], new=[asks])
    assert newer_sdk_functions(found) == ["new"]
