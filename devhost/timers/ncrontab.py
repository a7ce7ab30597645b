"""When does a schedule occur next?

NCRONTAB: {second} {minute} {hour} {day} {month} {day of week}; with five fields the second is 0. All fields must
match.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAY_NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = {name: n + 1 for n, name in enumerate(MONTH_NAMES)}
DAYS = {name: n for n, name in enumerate(DAY_NAMES)}
FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, MONTHS),
    (0, 6, DAYS),
)
MAX_SEARCH_DAYS = 366 * 40 + 1
"""29 February is on each day of the week within 40 years, also across 2100."""


class InvalidScheduleError(Exception):
    """The schedule is invalid or never occurs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NcrontabSchedule:
    """The allowed values of each field; days of the week count from Sunday, 0."""

    text: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def allows_day(self, day: datetime) -> bool:
        return day.day in self.days and day.month in self.months and day.isoweekday() % 7 in self.weekdays

    def next_after(self, at: float) -> float:
        """The first occurrence after `at`, both in seconds since 1970. Raises InvalidScheduleError if there is none."""
        earliest = datetime.fromtimestamp(at, UTC).replace(microsecond=0) + timedelta(seconds=1)
        day = earliest.replace(hour=0, minute=0, second=0)
        for _ in range(MAX_SEARCH_DAYS):
            if self.allows_day(day):
                found = self.first_of_day(day, earliest)
                if found is not None:
                    return found.timestamp()
            day += timedelta(days=1)
        raise InvalidScheduleError(f"the schedule '{self.text}' never occurs")

    def first_of_day(self, day: datetime, earliest: datetime) -> datetime | None:
        for hour in self.hours:
            if day.replace(hour=hour, minute=59, second=59) < earliest:
                continue
            for minute in self.minutes:
                if day.replace(hour=hour, minute=minute, second=59) < earliest:
                    continue
                moments = (day.replace(hour=hour, minute=minute, second=second) for second in self.seconds)
                found = next((moment for moment in moments if moment >= earliest), None)
                if found is not None:
                    return found
        return None


def number(text: str, names: dict[str, int]) -> int:
    return names[text.lower()[:3]] if text.lower()[:3] in names else int(text)


def part_values(text: str, low: int, high: int, names: dict[str, int]) -> range:
    """The values of one part of a field: *, n or n-m, each with an optional /step; n/step runs to the end."""
    body, slash, step = text.partition("/")
    if body == "*":
        first, last = low, high
    else:
        start, dash, end = body.partition("-")
        first = number(start, names)
        last = number(end, names) if dash else (high if slash else first)
    if not (low <= first <= high and low <= last <= high and first <= last):
        raise ValueError(text)
    return range(first, last + 1, int(step) if slash else 1)


def field_values(text: str, low: int, high: int, names: dict[str, int]) -> tuple[int, ...]:
    return tuple(sorted({value for part in text.split(",") for value in part_values(part, low, high, names)}))


def schedule_from_text(text: str) -> NcrontabSchedule:
    """Raises InvalidScheduleError."""
    fields = text.split()
    fields = ["0", *fields] if len(fields) == len(FIELDS) - 1 else fields
    try:
        values = [field_values(one, *limits) for one, limits in zip(fields, FIELDS, strict=True)]
    except ValueError as error:
        raise InvalidScheduleError(f"invalid schedule '{text}': {error}") from None
    seconds, minutes, hours, days, months, weekdays = values
    return NcrontabSchedule(
        text=text,
        seconds=seconds,
        minutes=minutes,
        hours=hours,
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(weekdays),
    )
