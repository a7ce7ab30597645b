"""What do host.json and local.settings.json configure?"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from devhost.app.queue_settings import QUEUE_KEYS, QueueSettings, encoding_problem
from devhost.app.versions import VersionFailureStrategy, VersionMatchStrategy, VersionSettings

DEFAULT_TIMEOUT_S = 30.0 * 60


STRING = r'"(?:\\.|[^"\\])*"'


COMMENT = re.compile(STRING + r"|//[^\n]*|/\*.*?\*/", re.DOTALL)


TRAILING_COMMA = re.compile(STRING + r"|,(?=\s*[}\]])", re.DOTALL)


SECONDS_PER_PART = (3600.0, 60.0, 1.0)


KNOWN_KEYS = {
    "": {"version", "functionTimeout", "extensions", "extensionBundle", "logging", "telemetryMode", "healthMonitor"},
    "extensions": {"http", "durableTask", "queues"},
    "extensions.queues": set(QUEUE_KEYS),
    "extensions.http": {"routePrefix", "maxConcurrentRequests", "maxOutstandingRequests", "customHeaders"},
    "extensions.durableTask": {
        "hubName",
        "maxConcurrentActivityFunctions",
        "maxConcurrentOrchestratorFunctions",
        "maxConcurrentEntityFunctions",
        "maxActivityRedeliveries",
        "maxOrchestratorRedeliveries",
        "maxEntityRedeliveries",
        "storageProvider",
        "tracing",
        "defaultVersion",
        "versionMatchStrategy",
        "versionFailureStrategy",
        "httpSettings",
        "overridableExistingInstanceStates",
    },
}


class SettingsError(Exception):
    """A settings file is invalid; the message names the file and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """The supported settings of host.json; `unknown` lists the keys that this host does not support."""

    route_prefix: str = "api"
    function_timeout_s: float | None = DEFAULT_TIMEOUT_S
    task_hub: str = "TestHubName"
    versions: VersionSettings = field(default_factory=VersionSettings)
    max_orchestrators: int = 10
    max_activities: int = 10
    max_entities: int = 10
    max_activity_redeliveries: int | None = None
    max_orchestrator_redeliveries: int | None = None
    max_entity_redeliveries: int | None = None
    http_poll_interval_s: float = 30.0
    replace_running: bool = False
    max_requests: int | None = None
    max_outstanding_requests: int | None = None
    custom_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    queues: QueueSettings = field(default_factory=QueueSettings)
    unknown: tuple[str, ...] = ()


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object; a missing file is an empty object. Raises SettingsError."""
    if not path.exists():
        return {}
    try:
        value: Any = json.loads(without_comments(path.read_text(encoding="utf-8-sig")))
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from None
    return json_object(value, str(path))


def without_comments(text: str) -> str:
    """Removes the comments and trailing commas that .NET allows in JSON."""
    without = COMMENT.sub(lambda found: found[0] if found[0].startswith('"') else " ", text)
    return TRAILING_COMMA.sub(lambda found: found[0] if found[0].startswith('"') else "", without)


def json_object(value: Any, what: str) -> dict[str, Any]:
    """Raises SettingsError."""
    if not isinstance(value, dict):
        raise SettingsError(f"{what}: not a JSON object")
    return cast("dict[str, Any]", value)


def timeout_from_value(text: str | None) -> float | None:
    """Seconds from [days.]hours:minutes:seconds; "-1" means no limit. Raises SettingsError."""
    if text is None:
        return DEFAULT_TIMEOUT_S
    if text == "-1":
        return None
    text = str(text)
    days, _, rest = text.rpartition(".") if text.count(":") > 1 and "." in text.split(":")[0] else ("0", "", text)
    try:
        clock = [float(part) for part in rest.split(":")]
        return float(days) * 86400 + sum(n * s for n, s in zip(clock, SECONDS_PER_PART, strict=True))
    except ValueError:
        raise SettingsError(
            f"functionTimeout: invalid value '{text}', expected [days.]hours:minutes:seconds or -1"
        ) from None


def unknown_keys(host: Mapping[str, Any]) -> tuple[str, ...]:
    found: list[str] = []
    for path, known in KNOWN_KEYS.items():
        found += [f"{path}.{key}".lstrip(".") for key in section(host, path) if key not in known]
    return tuple(found)


def section(host: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Returns an object of host.json; a missing object is empty. Raises SettingsError."""
    found: Any = host
    for part in filter(None, path.split(".")):
        found = json_object(found.get(part, {}), f"host.json: {path}")
    return found


def whole_number(found: Mapping[str, Any], key: str, default: int | None, least: int = 1) -> int | None:
    """Returns a whole number that is at least `least`; -1 means no limit. Raises SettingsError."""
    value = found.get(key, default)
    if value is None or value == -1:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingsError(f"host.json: {key}: {json.dumps(value)} is not a whole number of at least {least}")
    return value


def host_settings(host: Mapping[str, Any]) -> HostSettings:
    """Raises SettingsError."""
    http, durable = section(host, "extensions.http"), section(host, "extensions.durableTask")
    wait = section(host, "extensions.durableTask.httpSettings")
    at_once = 10 * (os.cpu_count() or 1)
    return HostSettings(
        route_prefix=http.get("routePrefix", "api"),
        max_requests=whole_number(http, "maxConcurrentRequests", None),
        max_outstanding_requests=whole_number(http, "maxOutstandingRequests", None),
        custom_headers=section(host, "extensions.http.customHeaders"),
        queues=queue_settings(section(host, "extensions.queues")),
        replace_running=str(durable.get("overridableExistingInstanceStates")).lower() == "anystate",
        function_timeout_s=timeout_from_value(host.get("functionTimeout")),
        task_hub=durable.get("hubName", "TestHubName"),
        versions=version_settings(durable),
        max_orchestrators=whole_number(durable, "maxConcurrentOrchestratorFunctions", at_once) or at_once,
        max_activities=whole_number(durable, "maxConcurrentActivityFunctions", at_once) or at_once,
        max_entities=whole_number(durable, "maxConcurrentEntityFunctions", at_once) or at_once,
        http_poll_interval_s=(whole_number(wait, "defaultAsyncRequestSleepTimeMilliseconds", None) or 30000) / 1000,
        max_activity_redeliveries=whole_number(durable, "maxActivityRedeliveries", None, least=0),
        max_orchestrator_redeliveries=whole_number(durable, "maxOrchestratorRedeliveries", None, least=0),
        max_entity_redeliveries=whole_number(durable, "maxEntityRedeliveries", None, least=0),
        unknown=unknown_keys(host),
    )


def queue_settings(found: Mapping[str, Any]) -> QueueSettings:
    """Raises SettingsError."""
    if problem := encoding_problem(found):
        raise SettingsError(f"host.json: {problem}")
    usual = QueueSettings()
    size = whole_number(found, "batchSize", usual.batch_size) or usual.batch_size
    return QueueSettings(
        max_polling_interval_s=seconds_of(found, "maxPollingInterval", usual.max_polling_interval_s),
        visibility_timeout_s=seconds_of(found, "visibilityTimeout", usual.visibility_timeout_s),
        batch_size=size,
        new_batch_threshold=whole_number(found, "newBatchThreshold", size // 2, least=0) or 0,
        max_dequeue_count=whole_number(found, "maxDequeueCount", usual.max_dequeue_count) or usual.max_dequeue_count,
        is_base64=str(found.get("messageEncoding", "base64")).lower() == "base64",
    )


def seconds_of(found: Mapping[str, Any], key: str, default: float) -> float:
    """Raises SettingsError."""
    return (timeout_from_value(found[key]) or default) if key in found else default


def version_settings(durable: Mapping[str, Any]) -> VersionSettings:
    """Raises SettingsError."""
    return VersionSettings(
        default=None if durable.get("defaultVersion") is None else str(durable["defaultVersion"]),
        match=strategy_from(
            VersionMatchStrategy, durable, "versionMatchStrategy", VersionMatchStrategy.CURRENT_OR_OLDER
        ),
        failure=strategy_from(VersionFailureStrategy, durable, "versionFailureStrategy", VersionFailureStrategy.REJECT),
    )


def strategy_from[T: StrEnum](kind: type[T], section: Mapping[str, Any], key: str, default: T) -> T:
    """Raises SettingsError."""
    value = str(section.get(key, default)).lower()
    found = next((one for one in kind if one.lower() == value), None)
    if found is None:
        raise SettingsError(f"{key}: '{section[key]}' is not one of {', '.join(kind)}")
    return found


def local_values(app: Path) -> dict[str, str]:
    """The Values of local.settings.json, or of its sample if that file is missing. Raises SettingsError."""
    values = local_section(app, "Values")
    return {str(name): str(value) for name, value in values.items()}


def local_section(app: Path, name: str) -> dict[str, Any]:
    """One section of local.settings.json, or of its sample if that file is missing. Raises SettingsError."""
    own = app / "local.settings.json"
    path = own if own.exists() else app / "local.settings.sample.json"
    return json_object(read_json(path).get(name, {}), f"{path}: {name}")


def worker_environment(app: Path, values: Mapping[str, str], process: Mapping[str, str]) -> dict[str, str]:
    """Variables of the host's process override those of local.settings.json."""
    return {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        **values,
        **process,
        "AzureWebJobsScriptRoot": str(app),
        "PYTHONUNBUFFERED": "1",
    }
