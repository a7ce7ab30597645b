"""Which bytes of a content does a request ask for (RFC 9110, section 14)?"""

import re
from typing import Final

ONE_RANGE: Final = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})")


def requested_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the one behind the last; None where the whole content is to be sent.

    A range that begins behind the content is empty: its end is not greater than its beginning. Other units and several
    ranges are passed over, as the RFC allows.
    """
    found = ONE_RANGE.fullmatch(header.strip()) if header else None
    if found is None or found[0] == "bytes=-":
        return None
    if not found["first"]:
        return max(size - int(found["last"]), 0), size
    first = int(found["first"])
    last = int(found["last"]) if found["last"] else size - 1
    if last < first and found["last"]:
        return None
    return first, min(last + 1, size)
