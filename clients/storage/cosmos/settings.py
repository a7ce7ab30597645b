"""Which Cosmos DB account do the environment variables name, and how does the application sign in?"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from domain.errors import ConfigurationError
from domain.values import Discreet

PREFIX = "GANGLION_COSMOS_"
DATABASE = "ganglion"
LOCAL = ("KEY", "TOKEN", "CA")


class CosmosAccount(Discreet, frozen=True, kw_only=True):
    """The account. `key`, `token` and `authority` (a CA certificate) are for local use, never for Azure.

    Without a key or a token, the application's managed identity signs in; `client_id` names a user-assigned one.
    """

    concealed: ClassVar = ("key", "token")

    url: str
    database: str = DATABASE
    key: str = ""
    token: str = ""
    authority: Path | None = None
    client_id: str = ""


def account_from(variables: Mapping[str, str]) -> CosmosAccount:
    """Read the account from the GANGLION_COSMOS_ variables; raises ConfigurationError with every problem."""
    values = {name: variables.get(PREFIX + name, "") for name in ("URL", "DATABASE", *LOCAL)}
    problems = (
        [f"{PREFIX}URL: expected https://account.documents.azure.com[:port]"] if not is_address(values["URL"]) else []
    )
    if values["KEY"] and values["TOKEN"]:
        problems.append(f"{PREFIX}KEY: set either this or {PREFIX}TOKEN")
    if variables.get("WEBSITE_INSTANCE_ID"):
        local = [name for name in LOCAL if values[name]]
        problems += [
            f"{PREFIX}{name}: is for local use only; remove it: on Azure the managed identity signs in"
            for name in local
        ]
    if problems:
        raise ConfigurationError(tuple(problems))
    return CosmosAccount(
        url=values["URL"],
        database=values["DATABASE"] or DATABASE,
        key=values["KEY"],
        token=values["TOKEN"],
        authority=Path(values["CA"]) if values["CA"] else None,
        client_id=variables.get("GANGLION_IDENTITY_CLIENT_ID", ""),
    )


def is_address(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
