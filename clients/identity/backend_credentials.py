"""Which credential does each backend want, and what must be configured for it?"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from threading import Thread

from clients.backends.credentials import BearerToken
from clients.clock import Clock
from clients.identity.token_cache import CachedCredential
from domain.fleet.catalog import Auth, AuthKind, Backend, Fleet
from domain.identity.federation import Federation

KEY_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
SECRET_MARKS = ("private_key", "refresh_token", "client_secret")
FEDERATED = (AuthKind.GOOGLE_ID_TOKEN, AuthKind.GOOGLE_ACCESS_TOKEN)
PRINTABLE = range(33, 127)
ENTRA_MODULE = "clients.identity.entra"
GOOGLE_MODULE = "clients.identity.google"
"""The first is imported with the second."""

type Fetch = Callable[[], BearerToken]


class BackendCredentials:
    """Holds one token for each thing that is proved, whichever backends ask for it.

    `variables` is the environment, which holds static tokens; `client_id` picks one of several managed identities.
    """

    def __init__(
        self, *, federation: Federation, variables: Mapping[str, str], clock: Clock, client_id: str | None = None
    ) -> None:
        self.federation = federation
        self.variables = variables
        self.clock = clock
        self.client_id = client_id
        self.cached: dict[Auth, CachedCredential] = {}

    async def header(self, backend: Backend) -> Mapping[str, str]:
        """Return what `Credentials.header` promises."""
        auth = backend.auth
        match auth.kind:
            case AuthKind.NONE:
                return {}
            case AuthKind.STATIC_BEARER:
                return bearer(self.variables[auth.setting or ""])
            case _:
                return bearer(await self.credential(auth).token())

    def rejected(self, backend: Backend) -> None:
        if backend.auth in self.cached:
            self.cached[backend.auth].rejected()

    def credential(self, auth: Auth) -> CachedCredential:
        found = self.cached.get(auth)
        if found is None:
            found = self.cached[auth] = CachedCredential(lambda: self.fetch(auth), self.clock)
        return found

    def fetch(self, auth: Auth) -> BearerToken:
        """Get a new token. Blocks; raises BackendError. The SDKs are imported late: see `warm_up`."""
        from clients.identity.entra import ManagedIdentity  # noqa: PLC0415 - slow to import and starts no app

        identity = ManagedIdentity(client_id=self.client_id)
        if auth.kind is AuthKind.ENTRA:
            return identity.token(auth.scope or "")
        from clients.identity.google import GoogleTokens  # noqa: PLC0415 - as above

        tokens = GoogleTokens(self.federation, identity)
        account = auth.service_account or self.federation.service_account or ""
        if auth.kind is AuthKind.GOOGLE_ID_TOKEN:
            return tokens.id_token(auth.audience or "", account)
        return tokens.access_token(auth.scope or "", account)


def warm_up(fleet: Fleet) -> Thread | None:
    """Import the SDKs that a fleet's tokens come from beside the start of the app, so that no first wake waits for it.

    None where the fleet wants no such token. What can't be imported is told by the first token that is asked for.
    """
    kinds = {backend.auth.kind for backend in fleet.backends.values()}
    module = GOOGLE_MODULE if kinds & {*FEDERATED} else ENTRA_MODULE if AuthKind.ENTRA in kinds else None
    if module is None:
        return None
    thread = Thread(target=import_module, args=(module,), name="credentials", daemon=True)
    thread.start()
    return thread


def bearer(token: str) -> Mapping[str, str]:
    return {"authorization": f"Bearer {token}"}


def credential_problems(fleet: Fleet, federation: Federation, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return what must be configured before the backends of a fleet can be called, and what must not be there."""
    found = [problem for each in fleet.backends.values() for problem in backend_problems(each, federation, variables)]
    if holds_a_key(variables.get(KEY_VARIABLE)):
        found.append(f"{KEY_VARIABLE} names a file that holds a secret; Ganglion uses no keys, remove it")
    return tuple(found)


def backend_problems(backend: Backend, federation: Federation, variables: Mapping[str, str]) -> Iterator[str]:
    auth, where = backend.auth, f"backends.{backend.name}.auth"
    if auth.kind is AuthKind.STATIC_BEARER and not is_token(variables.get(auth.setting or "")):
        yield f"{where}: the variable {auth.setting} holds no token"
    if auth.kind in FEDERATED:
        needs = {
            "GANGLION_GOOGLE_PROVIDER": federation.provider,
            "GANGLION_GOOGLE_SUBJECT_SCOPE": federation.scope,
            "GANGLION_GOOGLE_SERVICE_ACCOUNT": auth.service_account or federation.service_account,
        }
        yield from (f"{where}: {auth.kind.value} needs {name}" for name, value in needs.items() if not value)


def is_token(text: str | None) -> bool:
    return bool(text) and all(ord(sign) in PRINTABLE for sign in text or "")


def holds_a_key(path: str | None) -> bool:
    """Tell whether a file of Google's holds a secret; a configuration of federation holds none."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace") if path else ""
    except OSError:
        return False
    return any(mark in text for mark in SECRET_MARKS)
