"""How long do the calls of a tool take? Learned from its last calls, so old habits are forgotten."""

import math
from collections.abc import Iterable, Mapping, Sequence
from copy import replace
from typing import Any, Final, NamedTuple, Self

from msgspec import Struct, field

KEPT: Final = 32
"""The number of calls that are remembered of each tool."""

ENOUGH: Final = 3
"""So many calls of a tool tell how long the next one takes."""

MOST_TOOLS: Final = 256
"""The number of tools that are remembered, the latest ones."""

EARLY, MIDDLE, LATE = 0.1, 0.5, 0.9


class CallTimes(NamedTuple):
    """When a round's calls end, in seconds: nine of ten times later than `early`, and earlier than `late`."""

    early_s: float
    middle_s: float
    late_s: float


class ToolDurations(Struct, frozen=True, kw_only=True):
    """The seconds that the last calls of each tool took, by its server and name."""

    tools: Mapping[str, Sequence[float]] = field(default_factory=dict[str, Sequence[float]])

    def with_calls(self, seen: Iterable[tuple[str, float]]) -> Self:
        tools = dict(self.tools)
        for tool, seconds in seen:
            known = tools.pop(tool, ())
            tools[tool] = (*known, round(seconds, 1))[-KEPT:]
        latest = list(tools)[-MOST_TOOLS:]
        return replace(self, tools={tool: tools[tool] for tool in latest})

    def times(self, tools: Iterable[str]) -> CallTimes | None:
        """Return when calls of these tools end that run side by side; None where too little is known of one."""
        known = [sorted(self.tools.get(tool, ())) for tool in tools]
        if not known or any(len(each) < ENOUGH for each in known):
            return None
        early, middle, late = (max(quantile(each, share) for each in known) for share in (EARLY, MIDDLE, LATE))
        return CallTimes(early, middle, late)

    def to_document(self) -> dict[str, Any]:
        return {"kind": "tool_durations", "v": 1, "tools": {name: list(known) for name, known in self.tools.items()}}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(tools={name: tuple(map(float, known)) for name, known in body["tools"].items()})


def tool_name(server: str, tool: str) -> str:
    return f"{server}/{tool}"


def quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
