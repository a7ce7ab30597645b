"""Which runs of attempts wrote the answer, and where did one take over from another that had died?

Each run begins with an empty slot, which stops every earlier writer. A run that comes to its end writes its outcome.
One that has died, or was stopped, writes none. The next run writes the events after its last one.
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from api.rendering.response import Json
from domain.log.events import Slot
from domain.log.writers import RUN


def attempt_runs(slots: Iterable[Slot]) -> list[Json]:
    """Return the runs in the order in which they began.

    `first_event` and `last_event` are numbers of stream events, null where a run wrote none. `taken_over_at` is when
    the next run stopped this one, `lost_s` the time since its last sign; null for a run that came to its end.
    """
    by_writer: dict[str, list[Slot]] = {}
    for slot in slots:
        if slot.writer.startswith(RUN):
            by_writer.setdefault(slot.writer, []).append(slot)
    runs = list(by_writer.values())
    return [run_report(run, following) for run, following in zip_longest(runs, runs[1:])]


def run_report(slots: Sequence[Slot], following: Sequence[Slot] | None) -> Json:
    events = [number for slot in slots for number in range(slot.first, slot.next_sequence)]
    last_at = slots[-1].at
    died = following is not None and all(slot.outcome is None for slot in slots)
    taken_over_at = following[0].at if following and died else None
    return {
        "began_at": slots[0].at,
        "last_at": last_at,
        "first_event": min(events, default=None),
        "last_event": max(events, default=None),
        "taken_over_at": taken_over_at,
        "lost_s": None if taken_over_at is None else round(taken_over_at - last_at, 3),
    }
