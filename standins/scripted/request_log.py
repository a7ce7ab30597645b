"""Which requests did a server get, and how did each one end?"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from standins.scripted.chat_request import Ask

KEPT = 1000


@dataclass(slots=True, kw_only=True)
class Entry:
    """Times are Unix seconds; `how` is done, client-closed or failed, and None while the request runs."""

    id: str
    started: float
    conversation: str
    take: int
    model: str
    stream: bool
    limit: int | None
    partial: str | None
    messages: list[dict[str, str]]
    traceparent: str | None
    tokens: int = 0
    ended: float | None = None
    how: str | None = None


class Ledger:
    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.entries: deque[Entry] = deque(maxlen=KEPT)
        self.takes: Counter[str] = Counter()
        self.opened = 0

    def open(self, ask: Ask, traceparent: str | None) -> Entry:
        self.opened += 1
        self.takes[ask.conversation] += 1
        entry = Entry(
            id=f"chatcmpl-{self.opened}",
            started=self.clock(),
            conversation=ask.conversation,
            take=self.takes[ask.conversation],
            model=ask.model,
            stream=ask.stream,
            limit=ask.limit,
            partial=ask.partial,
            messages=[{"role": message.role, "content": message.text} for message in ask.messages],
            traceparent=traceparent,
        )
        self.entries.append(entry)
        return entry

    def close(self, entry: Entry, how: str) -> None:
        entry.ended, entry.how = self.clock(), how

    def listing(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in self.entries]

    def clear(self) -> None:
        """Forgets the requests and how often each conversation was asked."""
        self.entries.clear()
        self.takes.clear()
