"""How long is a cached token used, and when is the next one fetched?"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from clients.backends.credentials import BearerToken
from clients.backends.port import BackendError
from clients.clock import Clock
from clients.single_flight import SingleFlight

EARLY_S = 600.0
"""A token is renewed this long to half as long before its expiry; a short-lived token, in its second half."""

LAST_S = 120.0
"""A token is not used in this last part of its life: clocks differ, and a call takes time."""

RETRY_S = 5.0
YOUNG_S = 30.0
"""A token younger than this was not rejected because of its age; a new one would be rejected too."""


class Expiring(Protocol):
    """A credential; `expires_at` is in seconds since the epoch."""

    @property
    def expires_at(self) -> float: ...


class ExpiringCache[T: Expiring]:
    """Caches one credential and renews it early in the background, in a thread, with one request at a time."""

    def __init__(self, fetch: Callable[[], T], clock: Clock) -> None:
        self.fetch = fetch
        self.clock = clock
        self.cached: T | None = None
        self.fetched_at = 0.0
        self.renew_at = 0.0
        self.last_at = 0.0
        self.retry_at = 0.0
        self.failure: BackendError | None = None
        self.flight = SingleFlight(self.renew)

    async def value(self) -> T:
        """Return a credential that is valid for the next minutes. Raises BackendError."""
        now = self.clock.now()
        if self.cached and now < self.last_at:
            if now >= max(self.renew_at, self.retry_at):
                self.flight.start()
            return self.cached
        if self.failure and now < self.retry_at and not self.flight.running:
            raise BackendError(self.failure.failure)
        return await self.flight.result()

    async def renew(self) -> T:
        try:
            fetched = await asyncio.to_thread(self.fetch)
        except BackendError as failure:
            self.failure = failure
            self.retry_at = self.clock.now() + RETRY_S
            raise
        self.store(fetched)
        return fetched

    def store(self, fetched: T) -> None:
        now = self.clock.now()
        life_s = max(fetched.expires_at - now, 0.0)
        early_s = min(EARLY_S, life_s / 2) * (1 + self.clock.fraction()) / 2
        self.cached, self.failure, self.fetched_at = fetched, None, now
        self.renew_at = fetched.expires_at - early_s
        self.last_at = fetched.expires_at - min(LAST_S, life_s / 10)

    def rejected(self) -> None:
        """Drop the cached token, unless it is so new that its age cannot be the reason."""
        if self.clock.now() >= self.fetched_at + YOUNG_S:
            self.cached = None


class CachedCredential(ExpiringCache[BearerToken]):
    """Caches one bearer token."""

    async def token(self) -> str:
        """Return a token that is valid for the next minutes. Raises BackendError."""
        return (await self.value()).token
