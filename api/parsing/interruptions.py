"""What does a caller want where its turn meets another one, needs an approval, hangs up or has a cached answer?

Reserved keys of `metadata` say so.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from domain.errors import Invalid

ON_RUNNING = "on_running"
ON_DISCONNECT = "on_disconnect"
CANCEL = "cancel"
DEADLINE = "deadline_ms"
DEADLINE_LIMIT_MS = 86_400_000
CACHE: Final = "cache_s"
CACHE_PATH: Final = f"metadata.{CACHE}"
LONGEST_CACHE_S: Final = 30 * 86_400
APPROVAL_WAIT = "approval_wait_s"
APPROVAL_WAIT_LIMIT_S = 30 * 86_400


class OnRunning(StrEnum):
    """What a new turn does where another response has its conversation."""

    REJECT = "reject"
    QUEUE = "queue"
    CANCEL = "cancel"


def on_running_of(metadata: Mapping[str, str]) -> OnRunning:
    return OnRunning(choice(metadata, ON_RUNNING, tuple(OnRunning)))


def cancels_on_disconnect(metadata: Mapping[str, str]) -> bool:
    return choice(metadata, ON_DISCONNECT, ("continue", CANCEL)) == CANCEL


def choice(metadata: Mapping[str, str], key: str, known: Sequence[str]) -> str:
    """Return the value of a key, the first of its known values where it is absent; raises Invalid."""
    value = metadata.get(key, known[0])
    if value not in known:
        path = f"metadata.{key}"
        message = f"Invalid value for '{path}': supported values are {', '.join(known)}."
        raise Invalid(message, field=path, code="invalid_value")
    return value


def deadline_of(metadata: Mapping[str, str]) -> float | None:
    text = metadata.get(DEADLINE)
    if text is None:
        return None
    milliseconds = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(DEADLINE_LIMIT_MS)) else 0
    if not 1 <= milliseconds <= DEADLINE_LIMIT_MS:
        path = f"metadata.{DEADLINE}"
        message = f"Invalid '{path}': expected a whole number from 1 to {DEADLINE_LIMIT_MS}, as a string."
        raise Invalid(message, field=path, code="invalid_value")
    return milliseconds / 1000


def cache_age_of(metadata: Mapping[str, str]) -> float | None:
    """Return the seconds; None where the caller asks for no cached answer. Raises Invalid."""
    text = metadata.get(CACHE)
    if text is None:
        return None
    seconds = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(LONGEST_CACHE_S)) else 0
    if not 1 <= seconds <= LONGEST_CACHE_S:
        message = (
            f"Invalid '{CACHE_PATH}': expected a whole number of seconds from 1 to {LONGEST_CACHE_S}, as a string."
        )
        raise Invalid(message, field=CACHE_PATH, code="invalid_value")
    return float(seconds)


def approval_wait_of(metadata: Mapping[str, str], *, background: bool) -> float:
    """Return how many seconds a turn may wait in place for approvals; 0 where it ends with its requests."""
    text, path = metadata.get(APPROVAL_WAIT), f"metadata.{APPROVAL_WAIT}"
    if text is None:
        return 0.0
    seconds = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(APPROVAL_WAIT_LIMIT_S)) else 0
    if not 1 <= seconds <= APPROVAL_WAIT_LIMIT_S:
        message = f"Invalid '{path}': expected a whole number from 1 to {APPROVAL_WAIT_LIMIT_S}, as a string."
        raise Invalid(message, field=path, code="invalid_value")
    if not background:
        raise Invalid(f"Invalid '{path}': it needs 'background': true.", field=path, code="invalid_value")
    return float(seconds)
