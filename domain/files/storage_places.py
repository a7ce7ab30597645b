"""Which addresses and names do accounts, containers and queues of Azure Storage have?"""

import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

NAME: Final = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
"""Containers and queues: https://learn.microsoft.com/rest/api/storageservices/naming-queues-and-metadata"""


class StoragePlace(NamedTuple):
    """A container or a queue `name` of the account at `url`."""

    url: str
    name: str


def account_address(text: str) -> str:
    """Return the address of an account; raises ValueError for one with a key, or without TLS."""
    parts = urlsplit(text.rstrip("/"))
    plain = parts.scheme == "https" and parts.hostname and not (parts.query or parts.fragment or "@" in parts.netloc)
    if not plain:
        raise ValueError("expected an https address without a key, as https://account.blob.core.windows.net")
    return text.rstrip("/")


def container_name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError("expected 3 to 63 of a-z, 0-9 and single hyphens")
    return text


def storage_place(text: str) -> StoragePlace:
    """Return the place of an address whose last part is the name; raises ValueError."""
    account_address(text)
    url, _, name = text.rstrip("/").rpartition("/")
    return StoragePlace(account_address(url), container_name(name))
