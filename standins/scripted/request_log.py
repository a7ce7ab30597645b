"""Which requests did a server get, and how did each one end?"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from standins.scripted.chat_request import ScriptedRequest

KEPT = 1000


@dataclass(slots=True, kw_only=True)
class LoggedRequest:
    """Times are Unix seconds; `how` is done, client-closed or failed, and None while the request runs."""

    id: str
    started: float
    conversation: str
    attempt: int
    model: str
    stream: bool
    limit: int | None
    partial: str | None
    messages: list[dict[str, str]]
    traceparent: str | None
    tokens: int = 0
    ended: float | None = None
    outcome: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "started": self.started,
            "conversation": self.conversation,
            "take": self.attempt,
            "model": self.model,
            "stream": self.stream,
            "limit": self.limit,
            "partial": self.partial,
            "messages": self.messages,
            "traceparent": self.traceparent,
            "tokens": self.tokens,
            "ended": self.ended,
            "how": self.outcome,
        }


class RequestLog:
    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.entries: deque[LoggedRequest] = deque(maxlen=KEPT)
        self.attempts: Counter[str] = Counter()
        self.opened = 0

    def open(self, ask: ScriptedRequest, traceparent: str | None) -> LoggedRequest:
        self.opened += 1
        self.attempts[ask.conversation] += 1
        entry = LoggedRequest(
            id=f"chatcmpl-{self.opened}",
            started=self.clock(),
            conversation=ask.conversation,
            attempt=self.attempts[ask.conversation],
            model=ask.model,
            stream=ask.stream,
            limit=ask.limit,
            partial=ask.partial,
            messages=[{"role": message.role, "content": message.text} for message in ask.messages],
            traceparent=traceparent,
        )
        self.entries.append(entry)
        return entry

    def close(self, entry: LoggedRequest, how: str) -> None:
        entry.ended, entry.outcome = self.clock(), how

    def listing(self) -> list[dict[str, Any]]:
        return [entry.to_json() for entry in self.entries]

    def clear(self) -> None:
        """Forgets the requests and how often each conversation was asked."""
        self.entries.clear()
        self.attempts.clear()
