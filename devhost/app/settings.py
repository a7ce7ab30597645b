"""What do host.json, local.settings.json and the command line say?"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from devhost.app.versions import Match, OnMismatch, Versions

DEFAULT_TIMEOUT_S = 30.0 * 60


STRING = r'"(?:\\.|[^"\\])*"'


COMMENT = re.compile(STRING + r"|//[^\n]*|/\*.*?\*/", re.DOTALL)


LAST_COMMA = re.compile(STRING + r"|,(?=\s*[}\]])", re.DOTALL)


SECONDS_OF = (3600.0, 60.0, 1.0)


KNOWN = {
    "": {"version", "functionTimeout", "extensions", "extensionBundle", "logging", "telemetryMode", "healthMonitor"},
    "extensions": {"http", "durableTask"},
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
    """A settings file can't be used; the text says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """host.json as far as this host knows it; `unknown` are the keys that it does not."""

    prefix: str = "api"
    timeout_s: float | None = DEFAULT_TIMEOUT_S
    hub: str = "TestHubName"
    versions: Versions = field(default_factory=Versions)
    turns: int = 10
    activities: int = 10
    entities: int = 10
    redeliveries: int | None = None
    turn_redeliveries: int | None = None
    entity_redeliveries: int | None = None
    http_wait_s: float = 30.0
    replaces_running: bool = False
    requests: int | None = None
    outstanding: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    unknown: tuple[str, ...] = ()


def read_json(path: Path) -> dict[str, Any]:
    """Raises SettingsError; a file that isn't there is an empty object."""
    if not path.exists():
        return {}
    try:
        value: Any = json.loads(plain_json(path.read_text(encoding="utf-8-sig")))
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from None
    return json_object(value, str(path))


def plain_json(text: str) -> str:
    """Without the comments and last commas that .NET allows."""
    without = COMMENT.sub(lambda found: found[0] if found[0].startswith('"') else " ", text)
    return LAST_COMMA.sub(lambda found: found[0] if found[0].startswith('"') else "", without)


def json_object(value: Any, what: str) -> dict[str, Any]:
    """Raises SettingsError."""
    if not isinstance(value, dict):
        raise SettingsError(f"{what}: not a JSON object")
    return cast("dict[str, Any]", value)


def timeout_from_text(text: str | None) -> float | None:
    """Seconds from [days.]hours:minutes:seconds; "-1" is no limit. Raises SettingsError."""
    if text is None:
        return DEFAULT_TIMEOUT_S
    if text == "-1":
        return None
    text = str(text)
    days, _, rest = text.rpartition(".") if text.count(":") > 1 and "." in text.split(":")[0] else ("0", "", text)
    try:
        clock = [float(part) for part in rest.split(":")]
        return float(days) * 86400 + sum(n * s for n, s in zip(clock, SECONDS_OF, strict=True))
    except ValueError:
        raise SettingsError(f"functionTimeout: can't read '{text}'") from None


def unknown_keys(host: Mapping[str, Any]) -> tuple[str, ...]:
    found: list[str] = []
    for path, known in KNOWN.items():
        found += [f"{path}.{key}".lstrip(".") for key in section(host, path) if key not in known]
    return tuple(found)


def section(host: Mapping[str, Any], path: str) -> dict[str, Any]:
    """An object of host.json; one that isn't there is empty. Raises SettingsError."""
    found: Any = host
    for part in filter(None, path.split(".")):
        found = json_object(found.get(part, {}), f"host.json: {path}")
    return found


def count(found: Mapping[str, Any], key: str, default: int | None, least: int = 1) -> int | None:
    """A whole number from `least` on; -1 is no limit. Raises SettingsError."""
    value = found.get(key, default)
    if value is None or value == -1:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingsError(f"host.json: {key}: {json.dumps(value)} is not a number from {least} on")
    return value


def host_settings(host: Mapping[str, Any]) -> HostSettings:
    """Raises SettingsError."""
    http, durable = section(host, "extensions.http"), section(host, "extensions.durableTask")
    wait = section(host, "extensions.durableTask.httpSettings")
    at_once = 10 * (os.cpu_count() or 1)
    return HostSettings(
        prefix=http.get("routePrefix", "api"),
        requests=count(http, "maxConcurrentRequests", None),
        outstanding=count(http, "maxOutstandingRequests", None),
        headers=section(host, "extensions.http.customHeaders"),
        replaces_running=str(durable.get("overridableExistingInstanceStates")).lower() == "anystate",
        timeout_s=timeout_from_text(host.get("functionTimeout")),
        hub=durable.get("hubName", "TestHubName"),
        versions=versions_of(durable),
        turns=count(durable, "maxConcurrentOrchestratorFunctions", at_once) or at_once,
        activities=count(durable, "maxConcurrentActivityFunctions", at_once) or at_once,
        entities=count(durable, "maxConcurrentEntityFunctions", at_once) or at_once,
        http_wait_s=(count(wait, "defaultAsyncRequestSleepTimeMilliseconds", None) or 30000) / 1000,
        redeliveries=count(durable, "maxActivityRedeliveries", None, least=0),
        turn_redeliveries=count(durable, "maxOrchestratorRedeliveries", None, least=0),
        entity_redeliveries=count(durable, "maxEntityRedeliveries", None, least=0),
        unknown=unknown_keys(host),
    )


def versions_of(durable: Mapping[str, Any]) -> Versions:
    """Raises SettingsError."""
    return Versions(
        own=None if durable.get("defaultVersion") is None else str(durable["defaultVersion"]),
        match=one_of(Match, durable, "versionMatchStrategy", Match.CURRENT_OR_OLDER),
        on_mismatch=one_of(OnMismatch, durable, "versionFailureStrategy", OnMismatch.REJECT),
    )


def one_of[T: StrEnum](kind: type[T], section: Mapping[str, Any], key: str, default: T) -> T:
    """Raises SettingsError."""
    given = str(section.get(key, default)).lower()
    found = next((one for one in kind if one.lower() == given), None)
    if found is None:
        raise SettingsError(f"{key}: '{section[key]}' is none of {', '.join(kind)}")
    return found


def local_values(app: Path) -> dict[str, str]:
    """The Values of local.settings.json, else of its sample. Raises SettingsError."""
    values = local_section(app, "Values")
    return {str(name): str(value) for name, value in values.items()}


def local_section(app: Path, name: str) -> dict[str, Any]:
    """One part of local.settings.json, else of its sample. Raises SettingsError."""
    own = app / "local.settings.json"
    path = own if own.exists() else app / "local.settings.sample.json"
    return json_object(read_json(path).get(name, {}), f"{path}: {name}")


def worker_environment(app: Path, values: Mapping[str, str], process: Mapping[str, str]) -> dict[str, str]:
    """The real environment wins over the settings file."""
    return {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        **values,
        **process,
        "AzureWebJobsScriptRoot": str(app),
        "PYTHONUNBUFFERED": "1",
    }
