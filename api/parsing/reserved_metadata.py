"""What does a caller say of its turn in reserved keys of `metadata`?

`on_running` and `on_disconnect` say what follows where the turn meets another one, or where the caller hangs up;
`approval_wait_s` how long it waits in place for an approval; `cache_s` how old an answer of another turn may be that
it takes over.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from domain.errors import Invalid

ON_RUNNING = "on_running"
ON_DISCONNECT = "on_disconnect"
CANCEL = "cancel"
APPROVAL_WAIT: Final = "approval_wait_s"
CACHE: Final = "cache_s"
CACHE_PATH: Final = f"metadata.{CACHE}"
LONGEST_S: Final = 30 * 86_400


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


def approval_wait_of(metadata: Mapping[str, str], *, background: bool) -> float:
    """Return how many seconds a turn may wait in place for approvals; 0 where it ends with its requests."""
    seconds, path = seconds_of(metadata, APPROVAL_WAIT), f"metadata.{APPROVAL_WAIT}"
    if seconds is not None and not background:
        raise Invalid(f"Invalid '{path}': it needs 'background': true.", field=path, code="invalid_value")
    return seconds or 0.0


def cache_age_of(metadata: Mapping[str, str]) -> float | None:
    """Return the greatest age in seconds; None where the caller asks for no cached answer. Raises Invalid."""
    return seconds_of(metadata, CACHE)


def seconds_of(metadata: Mapping[str, str], key: str) -> float | None:
    """Return the seconds of a key, None where it is absent; raises Invalid."""
    text, path = metadata.get(key), f"metadata.{key}"
    if text is None:
        return None
    seconds = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(LONGEST_S)) else 0
    if not 1 <= seconds <= LONGEST_S:
        message = f"Invalid '{path}': expected a whole number of seconds from 1 to {LONGEST_S}, as a string."
        raise Invalid(message, field=path, code="invalid_value")
    return float(seconds)
