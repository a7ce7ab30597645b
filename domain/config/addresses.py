"""Which addresses may a configuration file give to a backend, and which variables do they name?"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from domain.network_names import LOOPBACK

VARIABLE: Final = re.compile(r"%([A-Z][A-Z0-9_]{2,})%")


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Replace `%NAME%` by its variable; a name that is not set stays as it is."""
    return VARIABLE.sub(lambda match: variables.get(match[1]) or match[0], text)


def good_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        return False
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port_is_good and plain


def private(url: str) -> bool:
    """Tell whether what is sent there is encrypted, or stays on this machine."""
    if url.startswith("https://") or VARIABLE.search(url) or not good_url(url):
        return True
    return urlsplit(url).hostname in LOOPBACK


def origin_of(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
