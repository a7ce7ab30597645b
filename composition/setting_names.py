"""Which environment variables look like settings, but nothing reads them?

A misspelled name would otherwise be ignored in silence: a budget with a wrong name limits nothing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from msgspec import Struct

from domain.config.environment import PREFIX

NAME = re.compile(rf"\b{PREFIX}[A-Z0-9_]+")
COSMOS = frozenset(f"{PREFIX}COSMOS_{name}" for name in ("URL", "DATABASE", "KEY", "TOKEN", "CA"))
"""The names that `clients.storage.cosmos.settings` reads."""

STORAGE = frozenset(f"{PREFIX}STORAGE_{name}" for name in ("TOKEN", "CA"))
"""The names that `clients.azure_storage.account` reads, for local use."""

TOOLS = frozenset({f"{PREFIX}URL", f"{PREFIX}ACCESS_TOKEN"})
"""The names that the commands of `python -m ganglion` read."""

MONEY = ("BUDGET", "FORECAST_", "PRICES")
IDENTITY = ("TOKEN_", "OPERATOR_", "IDENTITY_", "GOOGLE_", "AWS_")
STORE = ("STORE", "COSMOS_", "DATA", "BLOB_")
VITAL = tuple(f"{PREFIX}{name}" for name in (*MONEY, *IDENTITY, *STORE))
"""How the names begin of settings without which the app would spend, trust or lose something unnoticed."""

MISSPELLED = 2
"""An unknown name within this edit distance of a known one counts as its misspelling."""

HOST_PREFIX = "AzureFunctionsJobHost__extensions__durableTask__"
HOST_NAMES = [
    "hubName",
    "defaultVersion",
    "versionMatchStrategy",
    "versionFailureStrategy",
    "maxConcurrentActivityFunctions",
    "maxConcurrentOrchestratorFunctions",
    "maxConcurrentEntityFunctions",
    "maxEntityOperationBatchSize",
    "maxGrpcMessageSizeInBytes",
    "grpcHttpClientTimeout",
    "maxOrchestrationActions",
    "storeInputsInOrchestrationHistory",
    "extendedSessionsEnabled",
    "extendedSessionIdleTimeoutInSeconds",
    "useAppLease",
    "useGracefulShutdown",
    "localRpcEndpointEnabled",
    "overridableExistingInstanceStates",
    "entityMessageReorderWindowInMinutes",
    "appLeaseOptions",
    "httpSettings__defaultAsyncRequestSleepTimeMilliseconds",
    "httpSettings__useForwardedHost",
    "notifications__eventGrid__topicEndpoint",
    "notifications__eventGrid__keySettingName",
    "notifications__eventGrid__publishRetryCount",
    "notifications__eventGrid__publishRetryInterval",
    "notifications__eventGrid__publishRetryHttpStatus",
    "notifications__eventGrid__publishEventTypes",
    "tracing__traceInputsAndOutputs",
    "tracing__traceReplayEvents",
    "tracing__distributedTracingEnabled",
    "tracing__version",
    "tracing__distributedTracingProtocol",
    "storageProvider__type",
    "storageProvider__connectionName",
    "storageProvider__connectionStringName",
    "storageProvider__partitionCount",
    "storageProvider__controlQueueBatchSize",
    "storageProvider__controlQueueBufferThreshold",
    "storageProvider__controlQueueVisibilityTimeout",
    "storageProvider__workItemQueueVisibilityTimeout",
    "storageProvider__maxQueuePollingInterval",
    "storageProvider__fetchLargeMessagesAutomatically",
    "storageProvider__trackingStoreConnectionName",
    "storageProvider__trackingStoreConnectionStringName",
    "storageProvider__trackingStoreNamePrefix",
    "storageProvider__useLegacyPartitionManagement",
    "storageProvider__useTablePartitionManagement",
    "storageProvider__queueClientMessageEncoding",
]
"""https://learn.microsoft.com/azure/azure-functions/durable-functions/durable-functions-host-json-settings"""


def names_in(texts: Iterable[str]) -> frozenset[str]:
    """Return the operator's own variables: every name with our prefix that a configuration file mentions."""
    return frozenset(name for text in texts for name in NAME.findall(text))


class UnknownName(Struct, frozen=True, kw_only=True):
    """A variable that nothing reads. `meant` is the setting that it misspells, if that one is not set."""

    name: str
    message: str
    meant: str | None = None

    @property
    def is_error(self) -> bool:
        """Tell whether the app must not start: a setting of money, identity or store is misspelled."""
        return self.meant is not None and self.meant.startswith(VITAL)


def unknown_settings(variables: Mapping[str, str], known: frozenset[str]) -> Sequence[UnknownName]:
    """Return each variable with our prefix that is not known. Empty variables count as not set.

    A name that resembles no known one may belong to a newer release, whose settings an older package meets after a
    rollback.
    """
    every = known | COSMOS | STORAGE | TOOLS
    found: list[UnknownName] = []
    for name in sorted(variables):
        if variables[name] and name.upper().startswith(PREFIX) and name not in every:
            meant = misspelled(name, (each for each in every if not variables.get(each)))
            text = advice(name, meant or nearest(name, every))
            message = f"{name}: no setting and no configuration file uses this name; {text}"
            found.append(UnknownName(name=name, message=message, meant=meant))
    return found


def unknown_host_settings(variables: Mapping[str, str]) -> Sequence[UnknownName]:
    """Return each setting of the Durable extension that is not one of the documented names."""
    known = {name.casefold() for name in HOST_NAMES}
    found: list[UnknownName] = []
    for name in sorted(variables):
        if name.casefold().startswith(HOST_PREFIX.casefold()):
            own = name[len(HOST_PREFIX) :]
            if own.casefold().partition("__")[0] != "appleaseoptions" and own.casefold() not in known:
                text = advice(name, nearest(own, HOST_NAMES), HOST_PREFIX)
                message = f"{name}: the Durable extension documents no such setting; {text}"
                found.append(UnknownName(name=name, message=message))
    return found


def misspelled(name: str, known: Iterable[str]) -> str | None:
    """Return the known name within the edit distance, whatever the case and the order of its words."""
    distances = {
        each: min(edit_distance(name.upper(), each), edit_distance(in_order(name), in_order(each))) for each in known
    }
    best = min(distances, key=lambda each: (distances[each], each), default=None)
    return best if best is not None and distances[best] <= MISSPELLED else None


def edit_distance(one: str, other: str) -> int:
    """Return the least number of insertions, deletions and replacements of a character (Levenshtein)."""
    row = list(range(len(other) + 1))
    for number, sign in enumerate(one, start=1):
        previous, row = row, [number]
        for place, expected in enumerate(other):
            row.append(min(row[place] + 1, previous[place + 1] + 1, previous[place] + (sign != expected)))
    return row[-1]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar, whatever the case and the order of its words."""
    by_words = {in_order(each): each for each in sorted(known)}
    found = get_close_matches(in_order(name), by_words, n=1)
    return by_words[found[0]] if found else None


def in_order(name: str) -> str:
    return "_".join(sorted(name.removeprefix(PREFIX).casefold().split("_")))


def advice(name: str, found: str | None, prefix: str = "") -> str:
    return f"did you mean {prefix}{found}?" if found else f"correct or remove {name}"
