"""Which URLs does a durable client receive from the host?"""

import json
from typing import Any

INVOCATION = "INVOCATIONID"
WEBHOOKS = "/runtime/webhooks/durabletask"
MANAGEMENT_URLS = {
    "statusQueryGetUri": ("", ""),
    "sendEventPostUri": ("/raiseEvent/{eventName}", ""),
    "terminatePostUri": ("/terminate", "reason={text}&"),
    "rewindPostUri": ("/rewind", "reason={text}&"),
    "purgeHistoryDeleteUri": ("", ""),
    "restartPostUri": ("/restart", ""),
    "suspendPostUri": ("/suspend", "reason={text}&"),
    "resumePostUri": ("/resume", "reason={text}&"),
}


def management_urls(origin: str, hub: str, key: str, instance: str) -> dict[str, str]:
    """The management URLs of one instance; `key` is the key that opens them."""
    query = f"taskHub={hub}&connection=Storage&code={key}"
    base = f"{origin}{WEBHOOKS}/instances/{instance}"
    return {name: f"{base}{path}?{extra}{query}" for name, (path, extra) in MANAGEMENT_URLS.items()}


def client_binding(*, origin: str, rpc: str, hub: str, key: str) -> str:
    """`origin` is the public origin; `rpc` is the private one that only workers use.

    The worker replaces INVOCATION by the id of the running invocation: orchestrations that it starts join its trace.
    """
    base = f"{origin}{WEBHOOKS}"
    create = f"{base}/orchestrators/{{functionName}}[/{{instanceId}}]"
    binding: dict[str, Any] = {
        "taskHubName": hub,
        "connectionName": None,
        "creationUrls": {
            "createNewInstancePostUri": f"{create}?code={key}",
            "createAndWaitOnNewInstancePostUri": (
                f"{create}?timeout={{timeoutInSeconds}}&pollingInterval={{intervalInSeconds}}&code={key}"
            ),
        },
        "managementUrls": {"id": "INSTANCEID", **management_urls(origin, hub, key, "INSTANCEID")},
        "baseUrl": base,
        "requiredQueryStringParameters": f"code={key}",
        "rpcBaseUrl": f"{rpc}/durabletask/of/{INVOCATION}/",
        "httpBaseUrl": None,
    }
    return json.dumps(binding)
