"""How do compaction items carry their summary, and reasoning items their text?

The content is compressed, not encrypted: the text is the caller's own and no secret. A caller can write such an item,
so it may unpack to a few times its length only, in memory and in the store.
"""

import base64
import json
import zlib
from typing import Final

from domain.errors import Invalid

MOST_RATIO: Final = 3
"""A summary takes at most so many times the bytes of its content, as text and as JSON."""

ISSUED_RATIO: Final = 2
NOT_COMPRESSED: Final = 0
"""The level of zlib at which the text is only framed."""

NOT_ISSUED = "this compaction item was not issued by this service"
TOO_LARGE = f"the content unpacks to more than {MOST_RATIO} times its length; compact the conversation again"


def content_of(summary: str) -> str:
    """Return the content of an item. A text that compresses too well is not compressed."""
    content = packed(summary, zlib.Z_DEFAULT_COMPRESSION)
    return content if json_size(summary) <= ISSUED_RATIO * len(content) else packed(summary, NOT_COMPRESSED)


def packed(text: str, level: int) -> str:
    return base64.b64encode(zlib.compress(text.encode(), level)).decode()


def summary_of(content: str) -> str:
    """Return the summary of a compaction item; raises Invalid, which says what is wrong, where it is not ours."""
    most = MOST_RATIO * len(content)
    try:
        decompressor = zlib.decompressobj()
        text = decompressor.decompress(base64.b64decode(content, validate=True), most).decode()
    except (ValueError, zlib.error):
        raise Invalid(NOT_ISSUED) from None
    if not decompressor.eof or json_size(text) > most:
        raise Invalid(TOO_LARGE if decompressor.unconsumed_tail or decompressor.eof else NOT_ISSUED)
    return text


def own_text(content: str) -> str | None:
    """Return the text of a reasoning item; None where this service did not issue it."""
    try:
        return summary_of(content)
    except Invalid:
        return None


def json_size(text: str) -> int:
    """Return the bytes of a text in JSON, which escapes some characters."""
    return len(json.dumps(text, ensure_ascii=False).encode())
