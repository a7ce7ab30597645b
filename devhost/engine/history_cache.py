"""Which histories are kept in memory for the next episode?"""

from collections import OrderedDict

from devhost.engine.model.events import HistoryEvent

MAX_CACHED_EVENTS = 100_000


class HistoryCache:
    """The histories of the most recently active instances, up to a total number of events."""

    def __init__(self, capacity: int = MAX_CACHED_EVENTS) -> None:
        self.capacity = capacity
        self.entries: OrderedDict[str, tuple[str, list[HistoryEvent]]] = OrderedDict()
        self.event_count = 0

    def get(self, instance: str) -> tuple[str, list[HistoryEvent]]:
        """Returns the execution id and its events; the id is empty if nothing is cached."""
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
