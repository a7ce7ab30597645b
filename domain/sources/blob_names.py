"""Which blob does a turn read? Nothing that a text says leaves the containers and the path of the operator's file."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote

from domain.pipelines.event_text import said

NAMED: Final = "{blob}"
"""Stands at the end of a path for what the input names."""

PLACE: Final = re.compile(r"\{([A-Za-z][A-Za-z0-9_]{0,63})\}")
ADDRESS_END: Final = r"[^\s\"'<>\\]+"
AFTER: Final = ".,;:!)]}"
"""Punctuation after an address in a sentence is no part of it."""

LONGEST: Final = 1024
"""Characters of a blob's name: https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata"""

SEPARATORS: Final = frozenset("/\\")
NOTHING_NAMED: Final = "the input names no blob of its containers"
OUTSIDE: Final = "the input names a blob outside of its path"
WRONG_NAME: Final = "the name of the blob is not allowed"


class BlobName(NamedTuple):
    container: str
    path: str


def blob_name(
    address: str, containers: Sequence[str], path: str, claims: Mapping[str, str], text: str
) -> BlobName | str:
    """Return the blob of a source, or a text that explains why there is none.

    `path` is the source's; `{name}` in it is replaced by the claim of that name, and `{blob}` by what the text names.
    """
    if not all(is_segment(claims.get(name, "")) for name in PLACE.findall(path.removesuffix(NAMED))):
        return WRONG_NAME
    before = PLACE.sub(lambda found: claims[found[1]], path.removesuffix(NAMED))
    if not path.endswith(NAMED):
        return BlobName(containers[0], before)
    found = named_blob(address, containers, before, said(text).strip())
    if isinstance(found, str):
        return found
    if not is_path(found.path):
        return WRONG_NAME
    return found if found.path.startswith(before) else OUTSIDE


def named_blob(address: str, containers: Sequence[str], before: str, text: str) -> BlobName | str:
    """Return the first blob of the containers that a text has the address of; a text of one word is a name itself."""
    pattern = f"{re.escape(address)}/(?:{'|'.join(map(re.escape, containers))})/{ADDRESS_END}"
    if found := re.search(pattern, text, re.IGNORECASE):
        container, _, rest = found[0][len(address) + 1 :].rstrip(AFTER).partition("/")
        if container not in containers or "?" in rest or "#" in rest:
            return WRONG_NAME
        return BlobName(container, unquote(rest, errors="surrogateescape"))
    is_name = text and "://" not in text and not re.search(r"\s", text)
    return BlobName(containers[0], before + text) if is_name and len(containers) == 1 else NOTHING_NAMED


def is_path(path: str) -> bool:
    """Tell whether every segment of a path is a plain name, also for a service that decodes it once more."""
    return len(path) <= LONGEST and all(is_segment(each) for each in path.split("/"))


def is_segment(segment: str) -> bool:
    decoded = unquote(unquote(segment))
    is_whole = segment.isprintable() and decoded.isprintable() and not SEPARATORS & {*segment, *decoded}
    return bool(decoded.strip()) and is_whole and not decoded.endswith(".")
