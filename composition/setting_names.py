"""Which environment variables look like settings, but nothing reads them?

A misspelled name would otherwise be ignored in silence: a budget with a wrong name limits nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

PREFIX = "GANGLION_"
NAME = re.compile(rf"\b{PREFIX}[A-Z0-9_]+")
COSMOS = frozenset(f"{PREFIX}COSMOS_{name}" for name in ("URL", "DATABASE", "KEY", "TOKEN", "CA"))
"""The names that `clients.storage.cosmos.settings` reads."""

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


def unknown_settings(variables: Mapping[str, str], known: frozenset[str]) -> Iterator[str]:
    """Yield a problem for each variable with our prefix that is not known. Empty variables count as not set."""
    every = known | COSMOS
    for name in sorted(variables):
        if variables[name] and name.upper().startswith(PREFIX) and name not in every:
            yield f"{name}: no setting and no configuration file uses this name; {advice(name, nearest(name, every))}"


def unknown_host_settings(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each setting of the Durable extension that is not one of the documented names."""
    known = {name.casefold() for name in HOST_NAMES}
    for name in sorted(variables):
        if name.casefold().startswith(HOST_PREFIX.casefold()):
            own = name[len(HOST_PREFIX) :]
            if own.casefold().partition("__")[0] != "appleaseoptions" and own.casefold() not in known:
                found = nearest(own, HOST_NAMES)
                yield f"{name}: the Durable extension documents no such setting; {advice(name, found, HOST_PREFIX)}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar, whatever the case and the order of its words."""
    by_words = {in_order(each): each for each in sorted(known)}
    found = get_close_matches(in_order(name), by_words, n=1)
    return by_words[found[0]] if found else None


def in_order(name: str) -> str:
    return "_".join(sorted(name.removeprefix(PREFIX).casefold().split("_")))


def advice(name: str, found: str | None, prefix: str = "") -> str:
    return f"did you mean {prefix}{found}?" if found else f"correct or remove {name}"
