"""What do orchestrations and the step exchange that runs several calls of a round? See `domain.wire`."""

from typing import Final, NotRequired, TypedDict

from domain.tokens.sizes import SizeWire
from domain.wire import ONE_HISTORY, CalledToolWire, TurnWire

ONE_CALL_A_STEP: Final = ONE_HISTORY | {"1.3", "1.4", "1.5", "1.6"}
"""The versions of orchestrations that run each call of a round in a step of its own."""

ONE_LOOK_A_STEP: Final = ONE_CALL_A_STEP | {"1.7", "1.8"}
"""The versions of orchestrations that look at each task of a server in a step of its own."""


class CallToolsWire(TurnWire):
    """Names the items of calls that the server runs side by side. `looks`: they run as tasks of their servers."""

    calls: list[str]
    looks: NotRequired[bool]


class OpenRoundWire(TypedDict):
    """A round with calls that run as tasks of their servers: how its calls have ended so far, and what else it adds.

    `asks`: after the calls the turn ends, or asks for approvals.
    """

    called: dict[str, CalledToolWire]
    added: SizeWire | None
    asks: bool


class CalledToolsWire(TypedDict):
    """How each of the calls ended; None for one that has to be repeated alone."""

    calls: list[CalledToolWire | None]
