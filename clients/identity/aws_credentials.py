"""Which credentials of AWS does a backend's call need, and how long are they kept?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from clients.backends.credentials import HttpCall
from clients.clock import Clock
from clients.identity.token_cache import ExpiringCache
from domain.fleet.catalog import Auth, AuthKind
from domain.identity.federation import AwsFederation

if TYPE_CHECKING:
    from clients.identity.aws import RoleCredentials


class AwsCredentials:
    """Caches the credentials of each role and region, and one short-term key of each service from them.

    Only signatures are computed on the event loop. `clients.identity.aws` is imported late: see `warm_up`.
    """

    def __init__(self, federation: AwsFederation, clock: Clock, *, client_id: str | None) -> None:
        self.federation = federation
        self.clock = clock
        self.client_id = client_id
        self.roles: dict[tuple[str, str], ExpiringCache[RoleCredentials]] = {}
        self.keys: dict[tuple[str, str, str], tuple[RoleCredentials, str]] = {}

    async def header(self, auth: Auth, call: HttpCall) -> Mapping[str, str]:
        """Return the headers of a call: a bearer key, or a signature of the request. Raises BackendError."""
        found = await self.role(auth).value()
        if auth.kind is AuthKind.AWS_KEY:
            return {"authorization": f"Bearer {self.key(auth, found)}"}
        from clients.identity.aws import signed_headers  # noqa: PLC0415 - loaded by the fetch before

        return signed_headers(found, call, service=auth.service or "", region=auth.region or "")

    def rejected(self, auth: Auth) -> None:
        self.role(auth).rejected()

    def role(self, auth: Auth) -> "ExpiringCache[RoleCredentials]":
        role, region = auth.role or self.federation.role or "", auth.region or ""
        if (role, region) not in self.roles:
            self.roles[role, region] = ExpiringCache(lambda: self.fetch(role, region), self.clock)
        return self.roles[role, region]

    def key(self, auth: Auth, found: "RoleCredentials") -> str:
        """Return the service's key of these credentials; each is made once."""
        name = (auth.role or "", auth.region or "", auth.service or "")
        made_from, key = self.keys.get(name, (None, ""))
        if made_from is not found:
            from clients.identity.aws import short_term_key  # noqa: PLC0415 - as above

            key = short_term_key(found, service=auth.service or "", region=auth.region or "")
            self.keys[name] = (found, key)
        return key

    def fetch(self, role: str, region: str) -> "RoleCredentials":
        """Assume a role. Blocks; raises BackendError."""
        from clients.identity.aws import RoleSessions  # noqa: PLC0415 - slow to import and not needed at start
        from clients.identity.entra import ManagedIdentity  # noqa: PLC0415 - as above

        return RoleSessions(self.federation, ManagedIdentity(client_id=self.client_id)).assume(role, region)
