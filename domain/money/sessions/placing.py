"""Which of several instances does a request run on, as far as sessions tell?

The provider spreads requests; it does not say which instance serves which one. So a request is attributed to the first
instance that has room for it.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple
from zlib import crc32

from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan

FIRST: Final = 0


class Places(NamedTuple):
    """The numbers of the instances that may have room for a request, in order, and those that are up."""

    tried: tuple[int, ...]
    opened: tuple[int, ...]

    def beyond_room(self, record: str) -> int:
        """Return the instance of a request for which none has room: they are spread, as many may come at once.

        That happens after a process died: its requests count until they are repeated, and the provider has let them go.
        """
        return self.opened[crc32(record.encode()) % len(self.opened)] if self.opened else FIRST


def placing(sessions: Sequence[GpuSession | None], *, idle_s: float, now: float, is_held: bool) -> Places:
    """Return which instances a request of now may be attributed to; `sessions` are in their order.

    Where no open session has room, the provider starts another instance, unless the product does that (`is_held`).
    """
    opened = [number for number, each in enumerate(sessions) if each and not each.is_over(idle_s, now, is_held=is_held)]
    further = () if is_held and opened else tuple(number for number in range(len(sessions)) if number not in opened)
    return Places((*opened, *(further[:1] if is_held else further)), tuple(opened))


def is_full(session: GpuSession, span: SessionSpan | None, concurrency: int) -> bool:
    """Return whether an instance has no room for a request that has no place there yet."""
    return span is None and len(session.running) >= concurrency
