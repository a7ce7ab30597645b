"""Which host names mean this machine, and what of an address may be told?"""

import re
from typing import Final

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")

SECRETS: Final = re.compile(r"(?<=//)[^/?#]*@|[?#].*", re.DOTALL)


def without_secrets(text: str) -> str:
    """Return an address without its user and its query, where keys and passwords stand; other texts as they are."""
    return SECRETS.sub("…", text) if "://" in text else text
