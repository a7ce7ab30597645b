"""How much does a tenant use in each hour of a day, on one model and backend, in one document?

A roll-up adds up the usage rows of all owners and conversations. It is written in the batch that writes the row, so
that both have the same sums through any crash.
"""

import hashlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct

from domain.money.usage import ALL_COUNTS, CAUSE, HOUR, Counts, UsageRow

PREFIX: Final = "rollup_"
BY: Final = frozenset({"day", HOUR, "model", "backend", CAUSE})
"""What usage can be grouped by with roll-ups alone."""

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "attempts": "a",
        "input": "i",
        "cached": "k",
        "output": "o",
        "cost": "c",
        "store": "s",
        "functions": "f",
        "running": "r",
        "start": "t",
        "idle": "d",
        "tokens": "n",
        "tools": "l",
        "lost": "x",
        "unused_warm_up": "u",
        "provisional": "p",
        "estimated": "m",
        "items": "e",
        "warm_ups": "w",
        "joins": "j",
        "hits": "h",
    }
)
"""A field is the code of a count and the hour, such as `i07`: a report reads 24 hours of each day of a month."""

FIELD_LENGTH: Final = 3
NAMES: Final = {code: name for name, code in CODES.items()}


class RollUpChange(Struct, frozen=True, kw_only=True):
    """What a change of a usage row adds to the fields of a roll-up, and the roll-up before its first change."""

    id: str
    amounts: Mapping[str, int]
    empty: Mapping[str, Any]


def roll_up_change(row: UsageRow, counts: Counts) -> RollUpChange:
    day, hour = row.dimensions["day"], row.dimensions[HOUR][-2:]
    place = {"day": day, "model": row.dimensions["model"], "backend": row.dimensions["backend"]}
    digest = hashlib.sha256(f"{place['model']}\n{place['backend']}".encode()).hexdigest()[:24]
    return RollUpChange(
        id=f"{PREFIX}{day}_{digest}",
        amounts={f"{CODES[name]}{hour}": amount for name, amount in counts.items()},
        empty={"kind": "rollup", "v": 1, **place},
    )


def rows_of(body: Mapping[str, Any]) -> list[UsageRow]:
    """Return a row for each hour of a roll-up's document; it names neither owners nor conversations."""
    hours: dict[str, dict[str, int]] = {}
    for name, hour, amount in amounts_of(body):
        if hour not in hours:
            hours[hour] = dict.fromkeys(ALL_COUNTS, 0)
        hours[hour][name] += amount
    place = {"day": body["day"], "model": body["model"], "backend": body["backend"]}
    return [
        UsageRow(dimensions={**place, HOUR: f"{body['day']}T{hour}"}, counts=counts) for hour, counts in hours.items()
    ]


def amounts_of(body: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Yield each amount with the name of its count and its hour; counts of a later release are left out."""
    for field, amount in body.items():
        name, hour = NAMES.get(field[:1]), field[1:]
        if name and len(field) == FIELD_LENGTH and hour.isdecimal():
            yield name, hour, amount
