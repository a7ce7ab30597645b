"""Where may a caller's data go, what is a second of waiting worth, and which tiers are good enough for `auto`?"""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct, field

from domain.errors import Invalid

DEFAULT_TIME_VALUE: Final = Decimal("0.0002")
"""The value of one second of a caller's waiting time in dollars: about the price of one second of an L4 GPU."""

MOST_TIME_VALUE: Final = Decimal(1)
LONGEST_TIME_VALUE: Final = 16
LEAST_TIME_VALUE: Final = Decimal("1E-12")
"""A value is rounded to it: `1e-999999` would fill the records of the route with zeros."""

RESIDENCY: Final = "residency"
TIME_VALUE: Final = "time_value"
"""The keys of a turn's metadata."""

NOWHERE: Final = "no location that both the turn and its organisation allow"


class CallerRules(Struct, frozen=True, kw_only=True):
    """`residencies` are those allowed; empty allows all. `time_value` is in dollars for a second."""

    residencies: frozenset[str] = frozenset()
    time_value: Decimal = DEFAULT_TIME_VALUE

    def narrowed(self, residencies: frozenset[str]) -> "CallerRules":
        """Return the rules of a turn that names locations itself: it can only allow fewer of them."""
        if not residencies:
            return self
        allowed = residencies & self.residencies if self.residencies else residencies
        return CallerRules(residencies=allowed or frozenset({NOWHERE}), time_value=self.time_value)


class TenantRules(Struct, frozen=True, kw_only=True):
    """The usual rules, and those of single tenants."""

    usual: CallerRules = field(default_factory=CallerRules)
    tenants: Mapping[str, CallerRules] = field(default_factory=dict[str, CallerRules])

    def of(self, tenant: str) -> CallerRules:
        return self.tenants.get(tenant, self.usual)

    def of_turn(self, tenant: str, metadata: Mapping[str, str]) -> CallerRules:
        """Return the rules of a turn that was admitted with this metadata."""
        rules = self.of(tenant).narrowed(residencies_in(metadata))
        value = time_value_in(metadata)
        return rules if value is None else CallerRules(residencies=rules.residencies, time_value=value)


def residencies_in(metadata: Mapping[str, str]) -> frozenset[str]:
    """Return the locations that a turn names, separated by commas."""
    names = (each.strip() for each in metadata.get(RESIDENCY, "").split(","))
    return frozenset(each for each in names if each)


def time_value_in(metadata: Mapping[str, str]) -> Decimal | None:
    """Return the dollars for a second that a turn names; None where it names none, or no such number."""
    text = metadata.get(TIME_VALUE, "")
    try:
        value = Decimal(text) if text.isascii() and len(text) <= LONGEST_TIME_VALUE else None
    except InvalidOperation:
        return None
    if value is None or not value.is_finite() or not 0 <= value <= MOST_TIME_VALUE:
        return None
    return value.quantize(LEAST_TIME_VALUE).normalize()


def check_metadata(metadata: Mapping[str, str], rules: CallerRules, known: Iterable[str]) -> None:
    """Raise Invalid for what a turn may not ask; `rules` are its tenant's, `known` the locations of all backends."""
    if RESIDENCY in metadata:
        check_residencies(residencies_in(metadata), rules, sorted(known))
    if TIME_VALUE in metadata and time_value_in(metadata) is None:
        path = f"metadata.{TIME_VALUE}"
        message = f"Invalid '{path}': expected dollars for a second from 0 to {MOST_TIME_VALUE}, like \"0.001\"."
        raise Invalid(message, field=path, code="invalid_value")


def check_residencies(named: frozenset[str], rules: CallerRules, known: Iterable[str]) -> None:
    path, places = f"metadata.{RESIDENCY}", list(known)
    unknown = sorted(named.difference(places))
    if unknown or not named:
        found = ", ".join(map(repr, unknown)) or "nothing"
        message = f"Invalid '{path}': expected some of {', '.join(places) or 'no location'}, but got {found} instead."
        raise Invalid(message, field=path, code="invalid_value")
    if rules.residencies and not named & rules.residencies:
        allowed = ", ".join(sorted(rules.residencies))
        message = f"Invalid '{path}': the data of your organisation may only be sent to {allowed}."
        raise Invalid(message, field=path, code="invalid_value")


class Level(StrEnum):
    """How hard a turn seems: `domain.routing.difficulty`."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"


class AutoTiers(NamedTuple):
    """The least quality tier, from 1 to 5, for turns of each level; none is lower than that of the level before."""

    easy: int
    medium: int
    hard: int

    def least(self, level: Level) -> int:
        return {Level.EASY: self.easy, Level.MEDIUM: self.medium, Level.HARD: self.hard}[level]
