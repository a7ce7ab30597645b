"""What does a caller want where its turn meets another one, or where it hangs up? Two reserved keys of `metadata`."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from domain.errors import Invalid

ON_RUNNING = "on_running"
ON_DISCONNECT = "on_disconnect"
CANCEL = "cancel"


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
