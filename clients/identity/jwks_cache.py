"""Which signing keys does an issuer use now, and when are they fetched again?

The first request fetches the keys. Later they are refreshed in the background once an hour, and at most once in five
minutes if a token names an unknown key. During an outage of the issuer the last good keys stay valid.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum

from clients.clock import Clock
from clients.identity.signing_keys import KeySet, SigningKey
from clients.single_flight import SingleFlight
from domain.errors import Unavailable
from domain.identity.access_tokens import TokenIssuer

REFRESH_S = 3600.0
UNKNOWN_S = 300.0
RETRY_S = 5.0
KEPT_S = 86_400.0
"""How long keys stay valid if they cannot be refreshed. No token lives longer."""

DOWN = "The signing keys of the token issuer cannot be fetched now. Retry later."

type Fetch = Callable[[TokenIssuer], Awaitable[KeySet]]


class RefreshAction(StrEnum):
    USE = "use the key"
    REFRESH = "use the key and refresh in the background"
    FETCH = "fetch, then look up the key again"
    REFUSE = "there is no such key"
    DOWN = "the issuer is unavailable"


class IssuerKeys:
    """The keys of one issuer. All concurrent calls of `find` share one fetch."""

    def __init__(self, origin: TokenIssuer, fetch: Fetch, clock: Clock) -> None:
        self.origin = origin
        self.fetch = fetch
        self.clock = clock
        self.keys: KeySet = {}
        self.fetched_at = -KEPT_S
        self.tried_at = -KEPT_S
        self.unknown_at = -UNKNOWN_S
        self.failed = False
        self.flight = SingleFlight(self.refresh)

    async def find(self, key_id: str) -> SigningKey | None:
        """Return the key with an id, None if there is none. Raises Unavailable if the keys cannot be fetched."""
        match self.refresh_action(key_id):
            case RefreshAction.FETCH:
                await self.fetched(key_id)
            case RefreshAction.REFRESH:
                self.flight.start()
            case RefreshAction.DOWN:
                raise Unavailable(DOWN, delay_s=self.delay_s())
            case _:
                pass
        return self.keys.get(key_id)

    def refresh_action(self, key_id: str) -> RefreshAction:
        """Decide what to do for a token that names this key."""
        now = self.clock.now()
        may_retry, is_fetching = now >= self.tried_at + RETRY_S, self.flight.running is not None
        if now >= self.fetched_at + KEPT_S:
            return RefreshAction.FETCH if may_retry or is_fetching else RefreshAction.DOWN
        if key_id in self.keys:
            return RefreshAction.REFRESH if may_retry and now >= self.fetched_at + REFRESH_S else RefreshAction.USE
        if is_fetching or now >= self.unknown_at + UNKNOWN_S:
            return RefreshAction.FETCH
        return RefreshAction.DOWN if self.failed else RefreshAction.REFUSE

    async def fetched(self, key_id: str) -> None:
        """Fetch the keys. If the id is still unknown, it causes no other fetch for five minutes."""
        cold = not self.keys
        if not cold:
            self.unknown_at = self.clock.now()
        await self.flight.result()
        if cold and key_id not in self.keys:
            self.unknown_at = self.clock.now()

    async def refresh(self) -> None:
        self.tried_at = self.clock.now()
        try:
            self.keys = await self.fetch(self.origin)
        except Unavailable:
            self.failed = True
            raise
        self.fetched_at = self.clock.now()
        self.failed = False

    def delay_s(self) -> float:
        cold = self.clock.now() >= self.fetched_at + KEPT_S
        until = self.tried_at + RETRY_S if cold else self.unknown_at + UNKNOWN_S
        return max(until - self.clock.now(), 1.0)


class JwksCache:
    """The keys of every issuer, cached separately. Only issuers of allowed tenants are looked up."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self.fetch = fetch
        self.clock = clock
        self.issuers: dict[TokenIssuer, IssuerKeys] = {}

    async def find(self, origin: TokenIssuer, key_id: str) -> SigningKey | None:
        issuer = self.issuers.get(origin)
        if issuer is None:
            issuer = self.issuers[origin] = IssuerKeys(origin, self.fetch, self.clock)
        return await issuer.find(key_id)
