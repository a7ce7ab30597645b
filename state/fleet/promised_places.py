"""Which places and which KV memory of a backend has this process given to turns whose attempts do not run yet?

Between its route and its attempt a turn is in no stored state, so many at once would take the same place.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct, field

from domain.money.ledger_records import attempt_prefix

PROMISED_S: Final = 30.0
SOON_S: Final = 10.0
"""A place that was promised for so long is free: its turn has not come, or has ended in another process.

The shorter time is for turns that somebody waits for.
"""

SEEN_S: Final = 2.0
"""A promise whose attempt was seen to run counts for so long in decisions that have read the load before."""


class Promise(NamedTuple):
    """Until when it holds, in seconds since the epoch, and the tokens of KV memory."""

    until: float
    claim: int


class PromisedPlaces(Struct):
    """The promises to responses by backend."""

    given: dict[str, dict[str, Promise]] = field(default_factory=dict[str, dict[str, Promise]])

    def give(self, backend: str, response: str, *, now: float, claim: int = 0, for_s: float = PROMISED_S) -> None:
        known = self.given.setdefault(backend, {})
        for name in [name for name, promise in known.items() if promise.until <= now]:
            del known[name]
        known[response] = Promise(now + for_s, claim)

    def give_back(self, backend: str, attempt: str) -> None:
        """Forget the promise for an attempt that has ended."""
        known = self.given.get(backend, {})
        for name in [name for name in known if attempt.startswith(attempt_prefix(name))]:
            del known[name]

    def beside(self, backend: str, running: Iterable[str], *, counted: Iterable[str], now: float) -> Sequence[int]:
        """Return what was promised to each response that is not `counted`, nor among the attempts that run.

        An attempt of another process gives nothing back here: its promise ends soon after it was seen to run.
        """
        known = self.given.get(backend, {})
        begun = {attempt.removeprefix("attempt_").rpartition("_")[0] for attempt in running} & known.keys()
        for name in begun:
            known[name] = known[name]._replace(until=min(known[name].until, now + SEEN_S))
        left_out = begun.union(counted)
        return [promise.claim for name, promise in known.items() if promise.until > now and name not in left_out]
