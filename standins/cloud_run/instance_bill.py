"""How many seconds of each instance are billed? From its start to its end, in steps of 100 ms."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STEPS_A_SECOND = 10


@dataclass(slots=True, kw_only=True)
class BilledSession:
    """Times are Unix seconds of this machine; `end_reason` is idle, abandoned, count, failed, crashed or stopped."""

    number: int
    started: float
    speed: float
    ready: float | None = None
    ended: float | None = None
    end_reason: str | None = None
    requests: int = 0

    def lifetime_s(self, until: float) -> float:
        """Gives the seconds, in the service's scaled time, from the start until `until` or the end."""
        return ((until if self.ended is None else self.ended) - self.started) * self.speed

    def to_json(self, now: float) -> dict[str, Any]:
        start = None if self.ready is None else (self.ready - self.started) * self.speed
        return {
            "number": self.number,
            "started": self.started,
            "ready": self.ready,
            "ended": self.ended,
            "why": self.end_reason,
            "requests": self.requests,
            "start_s": None if start is None else round(start, 3),
            "billed_s": billed_seconds(self.lifetime_s(now)),
        }


def billed_seconds(seconds: float) -> float:
    """Rounds up to the next 100 ms, tolerating floating point errors."""
    return math.ceil(round(seconds * STEPS_A_SECOND, 6)) / STEPS_A_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceBill:
    path: Path | None = None
    sessions: list[BilledSession] = field(default_factory=list[BilledSession])

    def open(self, now: float, speed: float) -> BilledSession:
        session = BilledSession(number=len(self.sessions) + 1, started=now, speed=speed)
        self.sessions.append(session)
        return session

    def to_json(self, now: float) -> dict[str, Any]:
        sessions = [session.to_json(now) for session in self.sessions]
        total = round(sum(session["billed_s"] for session in sessions), 1)
        return {"billed_s": total, "sessions": sessions}

    def write(self, now: float) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps(self.to_json(now), indent=2) + "\n")
        temporary.replace(self.path)
