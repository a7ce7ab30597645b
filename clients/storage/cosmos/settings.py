"""Which Cosmos DB account is the store's, and how does the application sign in? The environment's variables say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from domain.errors import ConfigurationError

PREFIX = "GANGLION_COSMOS_"
DATABASE = "ganglion"
LOCAL = ("KEY", "TOKEN", "CA")


@dataclass(frozen=True, slots=True, kw_only=True)
class CosmosAccount:
    """Where the data is. `key`, `token` and `authority` (a CA's certificate) are for one machine, never for Azure.

    Without a key or a token, the application's managed identity signs in; `client_id` names a user-assigned one.
    """

    url: str
    database: str = DATABASE
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    authority: Path | None = None
    client_id: str = ""


def account_from(variables: Mapping[str, str]) -> CosmosAccount:
    """Read the account from GANGLION_COSMOS_URL and its kin; raises ConfigurationError naming every problem."""
    given = {name: variables.get(PREFIX + name, "") for name in ("URL", "DATABASE", *LOCAL)}
    problems = (
        [f"{PREFIX}URL: expected https://account.documents.azure.com[:port]"] if not is_address(given["URL"]) else []
    )
    if given["KEY"] and given["TOKEN"]:
        problems.append(f"{PREFIX}KEY: set either this or {PREFIX}TOKEN")
    if variables.get("WEBSITE_INSTANCE_ID"):
        refused = [name for name in LOCAL if given[name]]
        problems += [f"{PREFIX}{name}: is for one machine; on Azure the managed identity signs in" for name in refused]
    if problems:
        raise ConfigurationError(tuple(problems))
    return CosmosAccount(
        url=given["URL"],
        database=given["DATABASE"] or DATABASE,
        key=given["KEY"],
        token=given["TOKEN"],
        authority=Path(given["CA"]) if given["CA"] else None,
        client_id=variables.get("GANGLION_IDENTITY_CLIENT_ID", ""),
    )


def is_address(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
