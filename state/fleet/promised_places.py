"""Which places of a backend has this process given to lines of batches whose attempts do not run yet?

Between its route and its attempt a line is in no stored state, so many lines at once would take the same place.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct, field

from domain.money.ledger_records import attempt_prefix

PROMISED_S: Final = 30.0
"""A place that was promised for so long is free: its line has not come."""


class PromisedPlaces(Struct):
    """The responses with a promise by backend, each with the time until which it holds."""

    until: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])

    def give(self, backend: str, response: str, *, now: float) -> None:
        known = self.until.setdefault(backend, {})
        for name in [name for name, until in known.items() if until <= now]:
            del known[name]
        known[response] = now + PROMISED_S

    def give_back(self, backend: str, attempt: str) -> None:
        """Forget the promise for an attempt that has ended."""
        known = self.until.get(backend, {})
        for name in [name for name in known if attempt.startswith(attempt_prefix(name))]:
            del known[name]

    def beside(self, backend: str, running: Iterable[str], *, response: str, now: float) -> int:
        """Return how many others have a promise and are not among the attempts that run."""
        promised = {name for name, until in self.until.get(backend, {}).items() if until > now and name != response}
        begun = {attempt.removeprefix("attempt_").rpartition("_")[0] for attempt in running}
        return len(promised - begun)
