"""Which histories need not be read again for the next episode?"""

from collections import OrderedDict

from devhost.engine.model.events import HistoryEvent

MAX_CACHED_EVENTS = 100_000


class HistoryCache:
    """The histories of the instances that had a episode last, by id, as many as make up so many events."""

    def __init__(self, capacity: int = MAX_CACHED_EVENTS) -> None:
        self.capacity = capacity
        self.entries: OrderedDict[str, tuple[str, list[HistoryEvent]]] = OrderedDict()
        self.event_count = 0

    def get(self, instance: str) -> tuple[str, list[HistoryEvent]]:
        """The execution and its events; no execution has the empty id."""
        return self.entries.get(instance, ("", []))

    def put(self, instance: str, execution: str, events: list[HistoryEvent]) -> None:
        self.remove(instance)
        self.entries[instance] = (execution, events)
        self.event_count += len(events)
        while self.event_count > self.capacity:
            self.remove(next(iter(self.entries)))

    def remove(self, instance: str) -> None:
        _, events = self.entries.pop(instance, ("", []))
        self.event_count -= len(events)
