"""With which keys does an issuer on the network sign today?

Keys are fetched when they are first needed, and then refreshed in the background: once an hour, and at most once in
five minutes because a token names an unknown key. During an outage of the issuer the last good keys stay valid.
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
"""So long keys count that can't be asked for again. No token of theirs lives longer."""

DOWN = "The issuer of access tokens can't be asked for its keys."

type Fetch = Callable[[TokenIssuer], Awaitable[KeySet]]


class RefreshAction(StrEnum):
    USE = "use the key"
    REFRESH = "use the key and fetch behind it"
    FETCH = "fetch and look again"
    REFUSE = "there is no such key"
    DOWN = "nobody can say"


class IssuerKeys:
    """The keys of one issuer. `find` fetches at most once at a time, whoever asks."""

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
        """Return the key of an id, None where there is none; raises Unavailable where nobody can say."""
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
        """Decide what a token that names this key calls for."""
        now = self.clock.now()
        rested, fetching = now >= self.tried_at + RETRY_S, self.flight.running is not None
        if now >= self.fetched_at + KEPT_S:
            return RefreshAction.FETCH if rested or fetching else RefreshAction.DOWN
        if key_id in self.keys:
            return RefreshAction.REFRESH if rested and now >= self.fetched_at + REFRESH_S else RefreshAction.USE
        if fetching or now >= self.unknown_at + UNKNOWN_S:
            return RefreshAction.FETCH
        return RefreshAction.DOWN if self.failed else RefreshAction.REFUSE

    async def fetched(self, key_id: str) -> None:
        """Fetch; an id that is unknown even then causes no other fetch for a while."""
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
    """The keys of every issuer, each by itself. Only issuers of allowed tenants are ever asked about."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self.fetch = fetch
        self.clock = clock
        self.issuers: dict[TokenIssuer, IssuerKeys] = {}

    async def find(self, origin: TokenIssuer, key_id: str) -> SigningKey | None:
        issuer = self.issuers.get(origin)
        if issuer is None:
            issuer = self.issuers[origin] = IssuerKeys(origin, self.fetch, self.clock)
        return await issuer.find(key_id)
