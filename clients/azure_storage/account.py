"""Which Azure Storage account does an address name, and how does the application sign in?

A queue or a container has an address like https://account.queue.core.windows.net/orders. Nobody signs in with a key.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from azure.core.exceptions import AzureError, HttpResponseError

from clients.local_azure import LocalToken, LocalTransport
from domain.errors import ConfigurationError, GanglionError, Terminal, Unavailable
from domain.values import Discreet

PREFIX: Final = "GANGLION_STORAGE_"
LOCAL: Final = ("TOKEN", "CA")
LOCAL_TOKEN_S: Final = 3600
CONNECT_S: Final = 5
READ_S: Final = 60
TRIES_AGAIN: Final = 2
FIRST_PAUSE_S: Final = 1
THROTTLED: Final = 429
SERVER_ERROR: Final = 500
CLIENT_ERROR: Final = 400
REFUSED: Final = frozenset({401, 403})


class StorageIdentity(Discreet, frozen=True, kw_only=True):
    """Who signs in: the managed identity, `client_id` if it is a user-assigned one.

    `token` and `authority` (a CA certificate) are for a local stand-in, never for Azure.
    """

    concealed: ClassVar = ("token",)

    token: str = ""
    authority: Path | None = None
    client_id: str = ""


def storage_identity(variables: Mapping[str, str]) -> StorageIdentity:
    """Read who signs in from the variables; raises ConfigurationError for local ones on Azure."""
    values = {name: variables.get(PREFIX + name, "") for name in LOCAL}
    if variables.get("WEBSITE_INSTANCE_ID") and any(values.values()):
        problems = [f"{PREFIX}{name}: is for local use only; remove it" for name in LOCAL if values[name]]
        raise ConfigurationError(tuple(problems))
    return StorageIdentity(
        token=values["TOKEN"],
        authority=Path(values["CA"]) if values["CA"] else None,
        client_id=variables.get("GANGLION_IDENTITY_CLIENT_ID", ""),
    )


def credential_of(identity: StorageIdentity, now: float) -> Any:
    if identity.token:
        return LocalToken(identity.token, int(now) + LOCAL_TOKEN_S)
    from azure.identity.aio import ManagedIdentityCredential  # noqa: PLC0415 - it takes half a second to import, and only Azure needs it

    return ManagedIdentityCredential(client_id=identity.client_id or None)


def client_options(identity: StorageIdentity) -> dict[str, Any]:
    """Return the options of a client. The SDK repeats a request twice: no retry policy of ours knows of these.

    Each request that is repeated writes or reads the same bytes at the same place.
    """
    options: dict[str, Any] = {
        "retry_total": TRIES_AGAIN,
        "initial_backoff": FIRST_PAUSE_S,
        "increment_base": 2,
        "random_jitter_range": FIRST_PAUSE_S,
        "connection_timeout": CONNECT_S,
        "read_timeout": READ_S,
    }
    return options | ({"transport": LocalTransport(identity.authority)} if identity.authority else {})


def error_of(failed: AzureError, what: str) -> GanglionError:
    """Return the product's error for one of the SDK: Terminal where a retry can't help. `what` names the place."""
    status = failed.status_code if isinstance(failed, HttpResponseError) else None
    if status in REFUSED:
        return Terminal(f"{what} rejected the app: its identity needs a data role there.")
    if status is None or status == THROTTLED or status >= SERVER_ERROR or status < CLIENT_ERROR:
        return Unavailable(f"{what} did not answer.")
    return Terminal(f"{what} rejected the request: {code_of(failed) or status}.")


def code_of(failed: AzureError) -> str:
    """Return the code by which the service says what is wrong; empty where it says none.

    The SDK gives some codes as members of an enumeration, whose `str` is not the code.
    """
    code: Any = getattr(failed, "error_code", None) or ""
    return str(getattr(code, "value", code))
