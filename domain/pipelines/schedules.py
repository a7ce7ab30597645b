"""What is wrong with a schedule? The Functions host computes when it occurs."""

import re
from typing import Final

FIELDS: Final = (
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 6),
)
"""The fields of NCRONTAB with their least and greatest values."""

DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""The days that each month has at most."""

NAMES: Final = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "day of week": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}
PART: Final = re.compile(r"(\*|(?P<first>\w{1,9})(-(?P<last>\w{1,9}))?)(/(?P<step>[1-9]\d?))?")


def schedule_problem(schedule: str) -> str:
    """Return what is wrong with a schedule; empty where nothing is.

    A schedule has one second: the host keeps no account of occurrences that are less than a minute apart.
    """
    parts = schedule.split()
    if len(parts) != len(FIELDS):
        return f"expected six fields, {' '.join(f'{{{name}}}' for name, _, _ in FIELDS)}, found {schedule!r}"
    for text, (name, least, greatest) in zip(parts, FIELDS, strict=True):
        if not all(is_part(part, name, least, greatest) for part in text.split(",")):
            return f"expected a {name} of {least} to {greatest}, *, a list, a range or a step, found {text!r}"
    if not parts[0].isdecimal():
        return f"expected one second, such as 0, found {parts[0]!r}"
    return "" if occurs(parts[3], parts[4]) else f"expected a day that one of its months has, found {schedule!r}"


def occurs(days: str, months: str) -> bool:
    """Return whether one of the months has one of the days; each day of a year is on each day of the week some year."""
    longest = max(DAYS[month - 1] for month in values_of(months, "month"))
    return min(values_of(days, "day")) <= longest


def values_of(text: str, field: str) -> set[int]:
    """Return the values of a right field; `n/step` goes on to the greatest one."""
    least, greatest = next((least, greatest) for name, least, greatest in FIELDS if name == field)
    found = set[int]()
    for part in text.lower().split(","):
        body, stepped, step = part.partition("/")
        first, ranged, last = body.partition("-")
        start = least if body == "*" else number_of(first, field) or least
        end = greatest if body == "*" or (stepped and not ranged) else number_of(last or first, field) or start
        found.update(range(start, end + 1, int(step or 1)))
    return found


def is_part(text: str, name: str, least: int, greatest: int) -> bool:
    found = PART.fullmatch(text.lower())
    if found is None:
        return False
    numbers = [number_of(each, name) for each in (found["first"], found["last"]) if each]
    known = [each for each in numbers if each is not None and least <= each <= greatest]
    return len(known) == len(numbers) and known == sorted(known)


def number_of(text: str, name: str) -> int | None:
    if text.isdecimal() and text.isascii():
        return int(text)
    names = NAMES.get(name, [])
    return names.index(text[:3]) + (name == "month") if text[:3] in names else None
