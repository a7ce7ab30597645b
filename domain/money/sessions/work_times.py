"""When did a GPU work during a session, apart from the pauses between its requests?"""

from collections.abc import Iterable, Sequence
from typing import Final

from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan

MAX_TIMES: Final = 100
"""So many times are kept; of a session with more, those with the longest pauses between them."""

type WorkTime = tuple[float, float]
"""When requests began to run and when the last of them ended, in seconds since the epoch, without a pause between."""


def work_times(session: GpuSession, spans: Iterable[SessionSpan], now: float) -> tuple[WorkTime, ...]:
    """Return when the requests of a session ran, from the time at which the machine was ready."""
    ready = session.ready_time
    members = [span for span in spans if not span.is_warm_up]
    ran = [(max(ready, each.began), now if each.ended is None else each.ended) for each in members]
    return with_long_pauses(joined([(began, ended) for began, ended in ran if ended > began]))


def joined(times: Iterable[WorkTime]) -> list[WorkTime]:
    """Return times that overlap or touch as one, in order."""
    found: list[WorkTime] = []
    for began, ended in sorted(times):
        if found and began <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], ended))
        else:
            found.append((began, ended))
    return found


def with_long_pauses(times: Sequence[WorkTime]) -> tuple[WorkTime, ...]:
    """Return at most `MAX_TIMES` times: what the shortest pauses separate counts as one."""
    pauses = sorted(range(1, len(times)), key=lambda at: times[at - 1][1] - times[at][0])[: MAX_TIMES - 1]
    starts = [0, *sorted(pauses)] if times else []
    ends = [*starts[1:], len(times)]
    return tuple((times[start][0], times[end - 1][1]) for start, end in zip(starts, ends, strict=False))
