"""Which places and which KV memory of a backend has this process given to turns whose attempts do not run yet?

Between its route and its attempt a turn is in no stored state, so many at once would take the same place.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct, field

from domain.money.ledger_records import attempt_prefix

PROMISED_S: Final = 30.0
"""A place that was promised for so long is free: its turn has not come."""


class Promise(NamedTuple):
    """Until when it holds, in seconds since the epoch, and the tokens of KV memory."""

    until: float
    claim: int


class PromisedPlaces(Struct):
    """The promises to responses by backend."""

    given: dict[str, dict[str, Promise]] = field(default_factory=dict[str, dict[str, Promise]])

    def give(self, backend: str, response: str, *, now: float, claim: int = 0) -> None:
        known = self.given.setdefault(backend, {})
        for name in [name for name, promise in known.items() if promise.until <= now]:
            del known[name]
        known[response] = Promise(now + PROMISED_S, claim)

    def give_back(self, backend: str, attempt: str) -> None:
        """Forget the promise for an attempt that has ended."""
        known = self.given.get(backend, {})
        for name in [name for name in known if attempt.startswith(attempt_prefix(name))]:
            del known[name]

    def beside(self, backend: str, running: Iterable[str], *, counted: Iterable[str], now: float) -> Sequence[int]:
        """Return what was promised to each response that is not `counted`, nor among the attempts that run."""
        begun = {*counted, *(attempt.removeprefix("attempt_").rpartition("_")[0] for attempt in running)}
        promises = self.given.get(backend, {}).items()
        return [promise.claim for name, promise in promises if promise.until > now and name not in begun]
