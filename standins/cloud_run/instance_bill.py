"""What does each life of an instance cost? Its seconds count from the start to the end, in steps of 100 ms."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STEPS_A_SECOND = 10


@dataclass(slots=True, kw_only=True)
class Session:
    """Times are Unix seconds of this machine; `why` it ended is idle, abandoned, failed, crashed or stopped."""

    number: int
    started: float
    speed: float
    ready: float | None = None
    ended: float | None = None
    why: str | None = None
    requests: int = 0

    def lived(self, until: float) -> float:
        """Gives the seconds of the service from its start until `until` or its end."""
        return ((until if self.ended is None else self.ended) - self.started) * self.speed

    def wire(self, now: float) -> dict[str, Any]:
        start = None if self.ready is None else (self.ready - self.started) * self.speed
        return {
            "number": self.number,
            "started": self.started,
            "ready": self.ready,
            "ended": self.ended,
            "why": self.why,
            "requests": self.requests,
            "start_s": None if start is None else round(start, 3),
            "billed_s": billed(self.lived(now)),
        }


def billed(seconds: float) -> float:
    """Rounds up to the next 100 ms, but for the errors of floating point."""
    return math.ceil(round(seconds * STEPS_A_SECOND, 6)) / STEPS_A_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    path: Path | None = None
    sessions: list[Session] = field(default_factory=list[Session])

    def open(self, now: float, speed: float) -> Session:
        session = Session(number=len(self.sessions) + 1, started=now, speed=speed)
        self.sessions.append(session)
        return session

    def wire(self, now: float) -> dict[str, Any]:
        sessions = [session.wire(now) for session in self.sessions]
        total = round(sum(session["billed_s"] for session in sessions), 1)
        return {"billed_s": total, "sessions": sessions}

    def write(self, now: float) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(self.wire(now), indent=2) + "\n")
        beside.replace(self.path)
