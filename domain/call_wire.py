"""What do orchestrations and the step exchange that runs several calls of a round? See `domain.wire`."""

from typing import Final, TypedDict

from domain.wire import ONE_HISTORY, CalledToolWire, TurnWire

ONE_CALL_A_STEP: Final = ONE_HISTORY | {"1.3", "1.4", "1.5", "1.6"}
"""The versions of orchestrations that run each call of a round in a step of its own."""


class CallToolsWire(TurnWire):
    """Names the items of calls that the server runs side by side."""

    calls: list[str]


class CalledToolsWire(TypedDict):
    """How each of the calls ended; None for one that has to be repeated alone."""

    calls: list[CalledToolWire | None]
