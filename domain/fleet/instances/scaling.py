"""Who starts and ends the instances of a backend, and how many may run at a time of the week?"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct

DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S
THURSDAY: Final = 3
"""The day of the week on which the time since the epoch begins; Monday is 0."""

CLOUD_RUN: Final = "https://run.googleapis.com"


class Scaling(StrEnum):
    """Who ends an instance."""

    PROVIDER = "provider"
    """The provider does, after an idle period of its own."""
    REQUESTS = "requests"
    """The provider does, but the product keeps an instance alive by requests for as long as its rule says."""
    COUNT = "count"
    """The product does: it sets the number of instances."""


class CountLimits(NamedTuple):
    """How few and how many instances may run."""

    minimum: int = 0
    maximum: int = 1


FREE: Final = CountLimits()
"""The limits where no row of a schedule applies."""


class ScheduleRow(Struct, frozen=True, kw_only=True):
    """Limits on some days of the week (Monday is 0), from one second of the day in UTC to another, without that one."""

    days: frozenset[int]
    begins_s: int = 0
    ends_s: int = DAY_S
    limits: CountLimits = FREE

    def applies(self, at: float) -> bool:
        """Return whether the row applies at a time in seconds since the epoch."""
        day, second = divmod(int(at), DAY_S)
        return (day + THURSDAY) % 7 in self.days and self.begins_s <= second < self.ends_s


class InstanceControl(Struct, frozen=True, kw_only=True):
    """The service whose number of instances the product sets, and within which limits.

    `service` is its resource name, `url` the origin of the Admin API. `service_account` is the one to act as, where it
    is not the app's usual one. The first row of the schedule that applies counts. `payer` is the tenant that pays for
    instances which run only because a minimum says so. `maximum` counts where no row applies.
    """

    service: str
    url: str = CLOUD_RUN
    service_account: str | None = None
    schedule: tuple[ScheduleRow, ...] = ()
    payer: str | None = None
    maximum: int = 1

    def limits(self, at: float) -> CountLimits:
        free = FREE if self.maximum == 1 else CountLimits(maximum=self.maximum)
        return next((row.limits for row in self.schedule if row.applies(at)), free)

    def closed(self, at: float) -> str | None:
        """Return why no instance may run at a time; None where one may."""
        if self.limits(at).maximum:
            return None
        until = datetime.fromtimestamp(self.next_change(at), UTC)
        return f"its schedule allows no instance until {until:%Y-%m-%d %H:%M} UTC"

    def next_change(self, at: float) -> float:
        """Return when the limits change next, in seconds since the epoch; a week from now where they do not."""
        today = int(at) // DAY_S * DAY_S
        edges = {row.begins_s for row in self.schedule} | {row.ends_s for row in self.schedule}
        times = sorted(today + day * DAY_S + edge for day in range(8) for edge in edges)
        now = self.limits(at)
        return next((float(time) for time in times if time > at and self.limits(time) != now), at + WEEK_S)


DAYS: Final[Mapping[str, int]] = {
    name: number for number, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
}
