"""How are the settings files parsed?"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from devhost.app.queue_settings import QueueSettings
from devhost.app.settings import (
    SettingsError,
    host_settings,
    local_values,
    read_json,
    timeout_from_value,
    worker_environment,
)

TIMEOUTS = [(None, 1800.0), ("-1", None), ("00:05:00", 300.0), ("00:00:01.5", 1.5), ("1.00:00:00", 86400.0)]


@pytest.mark.parametrize(("text", "seconds"), TIMEOUTS)
def test_function_timeouts_are_time_spans(text: str | None, seconds: float | None) -> None:
    assert timeout_from_value(text) == seconds


@pytest.mark.parametrize("text", ["5", "five", "00:05"])
def test_a_timeout_that_can_not_be_read_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        timeout_from_value(text)


def test_host_json_is_read_and_unknown_keys_are_listed() -> None:
    found = host_settings(
        {
            "version": "2.0",
            "queues": {},
            "extensions": {
                "http": {"routePrefix": "", "hsts": {}},
                "durableTask": {"hubName": "h", "maxConcurrentActivityFunctions": 3, "defaultVersion": "2"},
            },
        }
    )
    assert (found.route_prefix, found.task_hub, found.max_activities, found.versions.default) == ("", "h", 3, "2")
    assert found.unknown == ("queues", "extensions.http.hsts")


def test_the_settings_of_queues_are_read() -> None:
    queues = {"visibilityTimeout": "00:00:30", "maxDequeueCount": 3, "batchSize": 4, "messageEncoding": "none"}
    found = host_settings({"extensions": {"queues": queues}})
    expected = QueueSettings(
        visibility_timeout_s=30, max_dequeue_count=3, batch_size=4, new_batch_threshold=2, is_base64=False
    )
    assert (found.queues, found.unknown) == (expected, ())
    assert host_settings({}).queues == QueueSettings()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"extensions": []}, "extensions.http: not a JSON object"),
    ({"extensions": {"durableTask": 1}}, "extensions.durableTask: not a JSON object"),
    (
        {"extensions": {"durableTask": {"maxConcurrentActivityFunctions": 0}}},
        "ActivityFunctions: 0 is not",
    ),
    (
        {"extensions": {"durableTask": {"maxActivityRedeliveries": "3"}}},
        'maxActivityRedeliveries: "3" is not a whole number',
    ),
    ({"functionTimeout": 5}, "functionTimeout: invalid value '5'"),
    ({"extensions": {"queues": {"messageEncoding": "rot13"}}}, "messageEncoding: 'rot13' is not one of"),
    (
        {"extensions": {"http": {"maxConcurrentRequests": "many"}}},
        'maxConcurrentRequests: "many" is not a whole number',
    ),
]


@pytest.mark.parametrize(("host", "told"), WRONG)
def test_a_value_that_can_not_be_is_named(host: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(told)):
        host_settings(host)


def test_minus_one_is_no_limit_and_any_state_may_be_replaced() -> None:
    http = {"maxConcurrentRequests": -1, "maxOutstandingRequests": 7}
    durable = {"overridableExistingInstanceStates": "AnyState"}
    found = host_settings({"extensions": {"http": http, "durableTask": durable}})
    assert (found.max_requests, found.max_outstanding_requests, found.replace_running) == (None, 7, True)


def test_without_host_json_the_defaults_of_the_real_host_hold() -> None:
    found = host_settings({})
    assert (found.route_prefix, found.function_timeout_s, found.unknown) == ("api", 1800.0, ())


def test_own_settings_win_over_the_sample(tmp_path: Path) -> None:
    (tmp_path / "local.settings.sample.json").write_text(json.dumps({"Values": {"A": "sample"}}), encoding="utf-8")
    assert local_values(tmp_path) == {"A": "sample"}
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": {"A": 1}}), encoding="utf-8")
    assert local_values(tmp_path) == {"A": "1"}


def test_the_process_environment_wins_over_the_settings_file() -> None:
    found = worker_environment(Path("/app"), {"A": "file", "B": "file"}, {"A": "process"})
    assert (found["A"], found["B"], found["PYTHONUNBUFFERED"]) == ("process", "file", "1")


def test_comments_and_last_commas_are_allowed_as_by_the_real_host(tmp_path: Path) -> None:
    path = tmp_path / "host.json"
    text = '{ // one\n "a": "http://x/*y*/,]", /* two\n lines */ "b": [1, 2,], }'
    path.write_text(text, encoding="utf-8")
    assert read_json(path) == {"a": "http://x/*y*/,]", "b": [1, 2]}


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_file_that_is_no_json_object_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "host.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"host\.json"):
        read_json(path)
