"""When did each timer function run last, and when does it run next?"""

from dataclasses import dataclass

from devhost.engine.storage.store import TaskHubStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatus:
    """Seconds since 1970; `last` is None before the first run."""

    last: float | None
    next: float
    updated: float


def read_schedule_status(store: TaskHubStore, function: str) -> ScheduleStatus | None:
    row = store.database.execute("SELECT last, next, updated FROM schedules WHERE function = ?", (function,)).fetchone()
    return ScheduleStatus(last=row[0], next=row[1], updated=row[2]) if row else None


def write_schedule_status(store: TaskHubStore, function: str, occurrence: ScheduleStatus) -> None:
    with store.transaction() as database:
        database.execute(
            "INSERT OR REPLACE INTO schedules (function, last, next, updated) VALUES (?, ?, ?, ?)",
            (function, occurrence.last, occurrence.next, occurrence.updated),
        )
