"""Which histories need not be read again for the next turn?"""

from collections import OrderedDict

from devhost.engine.model.events import Event

REMEMBERED_EVENTS = 100_000


class Histories:
    """The histories of the instances that had a turn last, by id, as many as make up so many events."""

    def __init__(self, room: int = REMEMBERED_EVENTS) -> None:
        self.room = room
        self.kept: OrderedDict[str, tuple[str, list[Event]]] = OrderedDict()
        self.events = 0

    def known(self, instance: str) -> tuple[str, list[Event]]:
        """The execution and its events; no execution has the empty id."""
        return self.kept.get(instance, ("", []))

    def remember(self, instance: str, execution: str, events: list[Event]) -> None:
        self.forget(instance)
        self.kept[instance] = (execution, events)
        self.events += len(events)
        while self.events > self.room:
            self.forget(next(iter(self.kept)))

    def forget(self, instance: str) -> None:
        _, events = self.kept.pop(instance, ("", []))
        self.events -= len(events)
