"""When is a token that we hold still good, and who fetches the next one?"""

import asyncio
from collections.abc import Callable

from clients.backends.credentials import BearerToken
from clients.backends.port import BackendError
from clients.clock import Clock
from clients.single_flight import SingleFlight

EARLY_S = 600.0
"""A token is renewed between half of this and this before it expires, or that part of a short life's second half."""

LAST_S = 120.0
"""What is left of a token when it is no more used: clocks differ, and a call takes its time."""

RETRY_S = 5.0
YOUNG_S = 30.0
"""A token younger than this was not rejected for its age: another would be as well."""


class CachedCredential:
    """One token, renewed early behind the calls, by one call at a time, in a thread of its own."""

    def __init__(self, fetch: Callable[[], BearerToken], clock: Clock) -> None:
        self.fetch = fetch
        self.clock = clock
        self.held: BearerToken | None = None
        self.fetched_at = 0.0
        self.renew_at = 0.0
        self.last_at = 0.0
        self.retry_at = 0.0
        self.failure: BackendError | None = None
        self.flight = SingleFlight(self.renew)

    async def token(self) -> str:
        """Return a token that is good for a while; raises BackendError."""
        now = self.clock.now()
        if self.held and now < self.last_at:
            if now >= max(self.renew_at, self.retry_at):
                self.flight.start()
            return self.held.token
        if self.failure and now < self.retry_at and not self.flight.running:
            raise BackendError(self.failure.failure)
        return (await self.flight.result()).token

    async def renew(self) -> BearerToken:
        try:
            fetched = await asyncio.to_thread(self.fetch)
        except BackendError as failure:
            self.failure = failure
            self.retry_at = self.clock.now() + RETRY_S
            raise
        self.hold(fetched)
        return fetched

    def hold(self, fetched: BearerToken) -> None:
        now = self.clock.now()
        life_s = max(fetched.expires_at - now, 0.0)
        early_s = min(EARLY_S, life_s / 2) * (1 + self.clock.fraction()) / 2
        self.held, self.failure, self.fetched_at = fetched, None, now
        self.renew_at = fetched.expires_at - early_s
        self.last_at = fetched.expires_at - min(LAST_S, life_s / 10)

    def rejected(self) -> None:
        """Hold the token no more, unless it is so young that its age can't be why."""
        if self.clock.now() >= self.fetched_at + YOUNG_S:
            self.held = None
