"""How old may the answer of another turn be that a turn takes over? A reserved key of `metadata`."""

from collections.abc import Mapping
from typing import Final

from domain.errors import Invalid

CACHE: Final = "cache_s"
PATH: Final = f"metadata.{CACHE}"
LONGEST_S: Final = 30 * 86_400


def cache_age_of(metadata: Mapping[str, str]) -> float | None:
    """Return the seconds; None where the caller asks for no cached answer. Raises Invalid."""
    text = metadata.get(CACHE)
    if text is None:
        return None
    seconds = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(LONGEST_S)) else 0
    if not 1 <= seconds <= LONGEST_S:
        message = f"Invalid '{PATH}': expected a whole number of seconds from 1 to {LONGEST_S}, as a string."
        raise Invalid(message, field=PATH, code="invalid_value")
    return float(seconds)
