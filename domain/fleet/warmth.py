"""Is a backend warm, starting or cold? Times are seconds since the epoch."""

from collections.abc import Mapping
from copy import replace
from typing import Any, Self

from msgspec import Struct

from domain.fleet.catalog import Backend
from domain.fleet.cold_start import FailedWarmUp, WarmUp
from domain.fleet.failure_classes import Diagnosis
from domain.fleet.instances.further import FurtherInstance, FurtherPause
from domain.fleet.instances.scaling import Scaling
from domain.fleet.retry_policy import WARM_UP_POLICIES, retry_delay


class Warmth(Struct, frozen=True, kw_only=True):
    """What is known about the instances of one backend.

    A backend that never scales to zero has no `warm_until`. `warm_up` is a start under way, and `started_at` is when
    the last start began. `lost_warm_ups` counts the warm-ups that started nothing. `failed_warm_up` is the last one
    that the backend rejected or that could not be sent. `idle_s` is the idle period of a session that the product ends.
    `further` are the instances beside the first one that the product counts, in the order of their numbers;
    `further_pause` follows a refusal to start one.
    """

    warm_until: float | None = None
    warm_up: WarmUp | None = None
    started_at: float | None = None
    lost_warm_ups: int = 0
    failed_warm_up: FailedWarmUp | None = None
    idle_s: float | None = None
    further: tuple[FurtherInstance, ...] = ()
    further_pause: FurtherPause | None = None

    def idle_period_s(self, backend: Backend) -> float:
        return backend.cold_start.idle_s if self.idle_s is None else self.idle_s

    def is_warm(self, now: float) -> bool:
        return self.warm_until is not None and self.warm_until > now

    def is_starting(self, now: float) -> bool:
        return self.start_under_way(now) is not None and not self.is_warm(now)

    def is_growing(self, now: float) -> bool:
        """Return whether a process is about to set a higher count."""
        return any(not each.is_set and not each.is_lost(now) for each in self.further)

    def is_further_paused(self, now: float) -> bool:
        """Return whether the last start of a further instance was refused a short while ago."""
        return self.further_pause is not None and now < self.further_pause.until

    def start_under_way(self, now: float) -> WarmUp | None:
        return self.warm_up if self.warm_up and self.warm_up.under_way(now) else None

    def start_by(self, starter: str, now: float) -> WarmUp | None:
        """Return the start under way of a backend that is not up, if the request of this turn or attempt began it."""
        return self.warm_up if self.is_starting(now) and self.is_warmed_up_by(starter) else None

    def is_warmed_up_by(self, starter: str) -> bool:
        """Return whether the warm-up of this turn or attempt is the last one sent."""
        return self.warm_up is not None and self.warm_up.by == starter

    def must_hold_request(self, backend: Backend) -> bool:
        """Return whether a start is lost when its request is dropped: as configured, or after a lost warm-up.

        No request starts a backend whose instances the product counts.
        """
        if backend.scaling is Scaling.COUNT:
            return False
        return not backend.cold_start.abandoned_starts or self.lost_warm_ups > 0

    def warm(self, until: float) -> "Warmth":
        """Return the warmth of a backend that is up and stays up until `until` at least."""
        latest = until if self.warm_until is None else max(self.warm_until, until)
        return replace(self, warm_until=latest, warm_up=None, failed_warm_up=None)

    def let_go(self, until: float) -> "Warmth":
        """Return the warmth after the product has stopped to keep it up: it is up until then at the latest."""
        return self if self.warm_until is None else replace(self, warm_until=min(self.warm_until, until))

    def stopped(self) -> "Warmth":
        """Return the warmth after the product has ended all instances: it is cold, and no start is under way."""
        return replace(self, warm_until=None, warm_up=None, idle_s=None, further=())

    def released(self, *, by: str) -> "Warmth":
        """Return the warmth after the warm-up of `by` was not sent: nothing starts."""
        return replace(self, warm_up=None, started_at=None) if self.is_warmed_up_by(by) else self

    def sent(self, *, by: str, now: float) -> "Warmth":
        """Return the warmth after a warm-up was sent late because authentication took long: the start begins now."""
        found = self.warm_up
        if found is None or found.by != by:
            return self
        return replace(self, warm_up=replace(found, since=now, cold_at=now, until=found.until + now - found.since))

    def held(self, *, by: str, now: float, held_until: float | None) -> "Warmth":
        """Return the warmth after a held warm-up found the backend cold; `held_until` is set if it is held further."""
        if self.warm_up is None or self.warm_up.by != by:
            return self
        return replace(self, warm_up=replace(self.warm_up, cold_at=now, held_until=held_until), failed_warm_up=None)

    def failed(self, diagnosis: Diagnosis, *, by: str, now: float) -> "Warmth":
        """Return the warmth after a warm-up was rejected or not sent. The warm-up of another turn stays."""
        if not self.is_warmed_up_by(by):
            return self
        tries = 1 + (self.failed_warm_up.tries if self.failed_warm_up else 0)
        policy = WARM_UP_POLICIES[diagnosis.failure_class]
        pause_s = min(retry_delay(policy, diagnosis, attempts=tries, random=1.0), policy.cap_s)
        failed = FailedWarmUp(
            at=now, again_at=now + pause_s, tries=tries, final=tries >= policy.tries, reason=diagnosis.reason
        )
        return replace(self, warm_up=None, started_at=None, failed_warm_up=failed)

    def to_document(self) -> dict[str, Any]:
        """Return the document. A field of a later release is left out while it has no value."""
        further = [each.to_document() for each in self.further] or None
        pause = self.further_pause.to_document() if self.further_pause else None
        later = {"started_at": self.started_at, "idle_s": self.idle_s, "further": further, "further_pause": pause}
        return {
            "warm_until": self.warm_until,
            "waking": self.warm_up.to_document() if self.warm_up else None,
            "lost_wakes": self.lost_warm_ups,
            "failed_wake": self.failed_warm_up.to_document() if self.failed_warm_up else None,
            **{name: value for name, value in later.items() if value is not None},
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            warm_until=body.get("warm_until"),
            warm_up=WarmUp.from_document(body["waking"]) if body.get("waking") else None,
            started_at=body.get("started_at"),
            lost_warm_ups=body.get("lost_wakes", 0),
            failed_warm_up=FailedWarmUp.from_document(body["failed_wake"]) if body.get("failed_wake") else None,
            idle_s=body.get("idle_s"),
            further=tuple(FurtherInstance.from_document(each) for each in body.get("further", ())),
            further_pause=FurtherPause.from_document(body["further_pause"]) if body.get("further_pause") else None,
        )
