"""Which requests did the scripted model get, and how did each one end?"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from standins.scripted.chat_request import ScriptedRequest

KEPT_REQUESTS = 1000


@dataclass(slots=True, kw_only=True)
class LoggedRequest:
    """Times are Unix seconds; `outcome` is done, client-closed or failed, and None while the request runs.

    `attempt` counts the requests of the same conversation from 1.
    """

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
        self.entries: deque[LoggedRequest] = deque(maxlen=KEPT_REQUESTS)
        self.attempts: Counter[str] = Counter()
        self.opened = 0

    def open(self, request: ScriptedRequest, traceparent: str | None) -> LoggedRequest:
        self.opened += 1
        self.attempts[request.conversation] += 1
        entry = LoggedRequest(
            id=f"chatcmpl-{self.opened}",
            started=self.clock(),
            conversation=request.conversation,
            attempt=self.attempts[request.conversation],
            model=request.model,
            stream=request.stream,
            limit=request.limit,
            partial=request.partial,
            messages=[{"role": message.role, "content": message.text} for message in request.messages],
            traceparent=traceparent,
        )
        self.entries.append(entry)
        return entry

    def close(self, entry: LoggedRequest, outcome: str) -> None:
        entry.ended, entry.outcome = self.clock(), outcome

    def listing(self) -> list[dict[str, Any]]:
        return [entry.to_json() for entry in self.entries]

    def clear(self) -> None:
        """Removes the requests and the attempt counts."""
        self.entries.clear()
        self.attempts.clear()
