"""What does a table of a configuration file say, with its addresses, and what is wrong with it?"""

import datetime as dt
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final, cast
from urllib.parse import urlsplit

from domain.errors import ConfigurationError
from domain.money.cheap_hours import HOURS
from domain.network_names import LOOPBACK

MONTH: Final = re.compile(r"20\d\d-(0[1-9]|1[0-2])")

AMOUNT_DIGITS: Final = 12
"""An amount times the milliseconds of a century still fits the 28 digits of the decimal context: sums are exact."""

VARIABLE: Final = re.compile(r"%([A-Z][A-Z0-9_]{2,})%")


class TomlTable:
    """One table of a TOML file. Each reader returns the field's value, or notes a problem and returns a stand-in.

    The problems of all tables of a file end up in one list, so that one error can name them all. A reader without a
    default reads a field that must be there. `close` reports the fields that were not read.
    """

    def __init__(self, path: str, values: dict[str, Any], problems: list[str]) -> None:
        self.path = path
        self.values = values
        self.problems = problems
        self.known: set[str] = set()

    def read[T](self, key: str, expected: str, accept: Callable[[Any], T | None], default: T | None, stand_in: T) -> T:
        self.known.add(key)
        if key not in self.values and default is not None:
            return default
        found = accept(self.values[key]) if key in self.values else None
        if found is None:
            self.report(key, expected)
            return stand_in
        return found

    def report(self, key: str, expected: str) -> None:
        found = repr(self.values[key]) if key in self.values else "nothing"
        self.problems.append(f"{self.name_of(key)}: expected {expected}, found {found}")

    def name_of(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def key_of(self, key: str, former: str) -> str:
        """Return which of its two names a renamed field has in the file. A field that has both is a problem."""
        self.known.add(key)
        if former not in self.values:
            return key
        self.known.add(former)
        if key in self.values:
            self.problems.append(
                f"{self.name_of(key)}: expected either {key} or its former name {former}, found both; remove {former}"
            )
            return key
        return former

    def optional[T](self, key: str, read: Callable[[str], T]) -> T | None:
        self.known.add(key)
        return read(key) if key in self.values else None

    def text(self, key: str, default: str | None = None) -> str:
        return self.read(key, "text", lambda v: v if isinstance(v, str) and v else None, default, "")

    def any_text(self, key: str, default: str) -> str:
        """Read a text that may be empty."""
        return self.read(key, "text", lambda v: v if isinstance(v, str) else None, default, "")

    def whole(self, key: str, default: int | None = None) -> int:
        return self.read(key, "a whole number above 0", positive_whole, default, 1)

    def within(self, key: str, low: int, high: int) -> int:
        def accept(value: Any) -> int | None:
            found = positive_whole(value)
            return found if found is not None and low <= found <= high else None

        return self.read(key, f"a whole number from {low} to {high}", accept, None, low)

    def number(self, key: str, default: float | None = None) -> float:
        return self.read(key, "a number of 0 or more", plain_number, default, 1.0)

    def above_zero(self, key: str, default: float | None = None) -> float:
        return self.read(key, "a number above 0", lambda v: plain_number(v) or None, default, 1.0)

    def amount(self, key: str, default: Decimal | None = None) -> Decimal:
        return self.read(key, 'an amount in quotes, such as "0.25"', plain_amount, default, Decimal(0))

    def share(self, key: str, default: Decimal) -> Decimal:
        def accept(value: Any) -> Decimal | None:
            found = plain_amount(value)
            return found if found is not None and 0 < found <= 1 else None

        return self.read(key, 'a share above 0 and at most 1 in quotes, such as "0.8"', accept, default, default)

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        return self.read(key, "true or false", lambda v: v if isinstance(v, bool) else None, default, stand_in=False)

    def day(self, key: str) -> str:
        def accept(value: Any) -> str | None:
            if type(value) is dt.date:
                return value.isoformat()
            return value if isinstance(value, str) and MONTH.fullmatch(value) else None

        return self.read(key, 'a date, such as 2026-11-22, or a month, such as "2026-11"', accept, None, "")

    def choice[E: StrEnum](self, key: str, members: type[E], default: E | None = None) -> E:
        choices = list(members)

        def accept(value: Any) -> E | None:
            return next((member for member in choices if member.value == value), None)

        return self.read(key, one_of(choices), accept, default, choices[0])

    def choices[E: StrEnum](self, key: str, members: type[E]) -> tuple[E, ...]:
        known = {member.value: member for member in members}

        def accept(value: Any) -> tuple[E, ...] | None:
            found = [known.get(each) if isinstance(each, str) else None for each in plain_list(value)]
            return tuple(e for e in found if e) if isinstance(value, list) and all(found) else None

        return self.read(key, f"a list of {one_of(list(members))}", accept, (), ())

    def texts(self, key: str) -> tuple[str, ...]:
        def accept(value: Any) -> tuple[str, ...] | None:
            found = tuple(each for each in plain_list(value) if isinstance(each, str) and each)
            return found if isinstance(value, list) and len(found) == len(plain_list(value)) else None

        return self.read(key, "a list of texts", accept, (), ())

    def wholes(self, key: str) -> tuple[int, ...]:
        def accept(value: Any) -> tuple[int, ...] | None:
            found = tuple(each for each in plain_list(value) if positive_whole(each))
            return found if isinstance(value, list) and len(found) == len(plain_list(value)) else None

        return self.read(key, "a list of whole numbers", accept, (), ())

    def hours(self, key: str) -> tuple[int, ...]:
        """Read hours of the day, from 0 to 23."""

        def accept(value: Any) -> tuple[int, ...] | None:
            found = tuple(each for each in plain_list(value) if type(each) is int and 0 <= each < HOURS)
            return found if isinstance(value, list) and len(found) == len(plain_list(value)) else None

        return self.read(key, "a list of hours in UTC, from 0 to 23", accept, (), ())

    def table(self, key: str, *, required: bool = False) -> "TomlTable":
        """Return the table under a key; an absent one reads as empty."""
        self.known.add(key)
        if key in self.values or required:
            found = plain_table(self.values.get(key))
            if found is None:
                self.report(key, "a table")
            return TomlTable(self.name_of(key), found or {}, self.problems)
        return TomlTable(self.name_of(key), {}, self.problems)

    def tables(self, key: str) -> Iterator[tuple[str, "TomlTable"]]:
        """Yield the named tables under a key, in the order of the file."""
        group = self.table(key)
        for name in group.values:
            yield name, group.table(name)

    def rows(self, key: str) -> Iterator["TomlTable"]:
        """Yield the tables of a list."""
        self.known.add(key)
        value = self.values.get(key, [])
        if not isinstance(value, list):
            self.report(key, "a list of tables")
        for index, each in enumerate(plain_list(value)):
            found = plain_table(each)
            name = f"{self.name_of(key)}[{index}]"
            if found is None:
                self.problems.append(f"{name}: expected a table, found {each!r}")
            else:
                yield TomlTable(name, found, self.problems)

    def close(self) -> None:
        known = ", ".join(sorted(self.known))
        self.problems.extend(
            f"{self.name_of(key)}: expected one of the fields {known}" for key in self.values if key not in self.known
        )


def document(text: str, file: str) -> TomlTable:
    """Return a file's top table. Raises ConfigurationError where the text is no TOML."""
    try:
        return TomlTable("", tomllib.loads(text), [])
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError((f"{file}: expected TOML, found {problem}",)) from problem


def one_of(members: list[StrEnum] | list[Any]) -> str:
    return "one of " + ", ".join(str(member) for member in members)


def positive_whole(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def plain_number(value: Any) -> float | None:
    """Return a finite number of 0 or more."""
    good = type(value) in {int, float} and math.isfinite(value) and value >= 0
    return float(value) if good else None


def plain_amount(value: Any) -> Decimal | None:
    """Return an amount of 0 or more. Amounts stand in quotes, for a float would lose digits."""
    try:
        found = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None
    good = found is not None and found.is_finite() and found >= 0 and len(found.as_tuple().digits) <= AMOUNT_DIGITS
    return found if good else None


def plain_list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def plain_table(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Replace `%NAME%` by its variable; a name that is not set stays as it is."""
    return VARIABLE.sub(lambda match: variables.get(match[1]) or match[0], text)


def good_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        return False
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port_is_good and plain


def private(url: str) -> bool:
    """Tell whether what is sent there is encrypted, or stays on this machine."""
    if url.startswith("https://") or VARIABLE.search(url) or not good_url(url):
        return True
    return urlsplit(url).hostname in LOOPBACK


def origin_of(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
