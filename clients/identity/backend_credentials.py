"""Which credentials does each backend need, and which settings do they need?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from threading import Thread

from clients.backends.credentials import BearerToken, HttpCall
from clients.clock import Clock
from clients.identity.aws_credentials import AwsCredentials
from clients.identity.token_cache import CachedCredential
from domain.fleet.catalog import Auth, AuthKind, Backend, Fleet
from domain.identity.federation import AwsFederation, Federation

KEY_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
SECRET_MARKS = ("private_key", "refresh_token", "client_secret")
FEDERATED = (AuthKind.GOOGLE_ID_TOKEN, AuthKind.GOOGLE_ACCESS_TOKEN)
PRINTABLE = range(33, 127)
AWS_KINDS = (AuthKind.AWS_KEY, AuthKind.AWS_SIGV4)
MODULES: Mapping[str, frozenset[AuthKind]] = {
    "clients.identity.entra": frozenset({AuthKind.ENTRA}),
    "clients.identity.google": frozenset(FEDERATED),
    "clients.identity.aws": frozenset(AWS_KINDS),
}
"""The modules that import an SDK, and the kinds that need them."""

type Fetch = Callable[[], BearerToken]


class BackendCredentials:
    """Caches one token for each auth configuration; backends with the same configuration share it.

    `variables` is the environment, which contains static tokens; `client_id` selects a user-assigned identity.
    """

    def __init__(
        self,
        *,
        federation: Federation,
        aws: AwsFederation,
        variables: Mapping[str, str],
        clock: Clock,
        client_id: str | None = None,
    ) -> None:
        self.federation = federation
        self.variables = variables
        self.clock = clock
        self.client_id = client_id
        self.cached: dict[Auth, CachedCredential] = {}
        self.aws = AwsCredentials(aws, clock, client_id=client_id)

    async def header(self, backend: Backend, call: HttpCall) -> Mapping[str, str]:
        """Return what `Credentials.header` promises."""
        auth = backend.auth
        match auth.kind:
            case AuthKind.NONE:
                return {}
            case AuthKind.STATIC_BEARER:
                return bearer(self.variables[auth.setting or ""])
            case AuthKind.AWS_KEY | AuthKind.AWS_SIGV4:
                return await self.aws.header(auth, call)
            case _:
                return bearer(await self.credential(auth).token())

    def rejected(self, backend: Backend) -> None:
        if backend.auth.kind in AWS_KINDS:
            self.aws.rejected(backend.auth)
        if backend.auth in self.cached:
            self.cached[backend.auth].rejected()

    def credential(self, auth: Auth) -> CachedCredential:
        found = self.cached.get(auth)
        if found is None:
            found = self.cached[auth] = CachedCredential(lambda: self.fetch(auth), self.clock)
        return found

    def fetch(self, auth: Auth) -> BearerToken:
        """Fetch a new token. Blocks; raises BackendError. The SDKs are imported late: see `warm_up`."""
        from clients.identity.entra import ManagedIdentity  # noqa: PLC0415 - slow to import and not needed at start

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
    """Import the SDKs for a fleet's tokens in the background, so that the first warm-up does not wait for the import.

    Return None if the fleet needs no such token. A failed import is reported by the first request for a token.
    """
    kinds = {backend.auth.kind for backend in fleet.backends.values()}
    modules = [name for name, users in MODULES.items() if kinds & users]
    if not modules:
        return None
    thread = Thread(target=import_all, args=(modules,), name="credentials", daemon=True)
    thread.start()
    return thread


def import_all(modules: Sequence[str]) -> None:
    for module in modules:
        import_module(module)


def bearer(token: str) -> Mapping[str, str]:
    return {"authorization": f"Bearer {token}"}


def credential_problems(
    fleet: Fleet, federation: Federation, aws: AwsFederation, variables: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the missing settings of a fleet's credentials, and the settings that are not allowed."""
    backends = fleet.backends.values()
    found = [problem for each in backends for problem in backend_problems(each, federation, variables)]
    found.extend(problem for each in backends for problem in aws_problems(each, aws))
    if contains_secret(variables.get(KEY_VARIABLE)):
        found.append(f"{KEY_VARIABLE}: the file contains a secret, and keys are not allowed; remove the variable")
    return tuple(found)


def backend_problems(backend: Backend, federation: Federation, variables: Mapping[str, str]) -> Iterator[str]:
    auth, where = backend.auth, f"backends.{backend.name}.auth"
    if auth.kind is AuthKind.STATIC_BEARER and not is_token(variables.get(auth.setting or "")):
        yield f"{where}: the variable {auth.setting} contains no token; set it"
    if auth.kind in FEDERATED:
        needs = {
            "GANGLION_GOOGLE_PROVIDER": federation.provider,
            "GANGLION_GOOGLE_SUBJECT_SCOPE": federation.scope,
            "GANGLION_GOOGLE_SERVICE_ACCOUNT": auth.service_account or federation.service_account,
        }
        yield from (f"{where}: {auth.kind.value} needs {name}" for name, value in needs.items() if not value)


def aws_problems(backend: Backend, aws: AwsFederation) -> Iterator[str]:
    auth = backend.auth
    if auth.kind in AWS_KINDS:
        needs = {"GANGLION_AWS_ROLE": auth.role or aws.role, "GANGLION_AWS_SUBJECT_SCOPE": aws.scope}
        where = f"backends.{backend.name}.auth"
        yield from (f"{where}: {auth.kind.value} needs {name}" for name, value in needs.items() if not value)


def is_token(text: str | None) -> bool:
    return bool(text) and all(ord(sign) in PRINTABLE for sign in text or "")


def contains_secret(path: str | None) -> bool:
    """Return whether a Google credentials file contains a secret; a federation configuration contains none."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace") if path else ""
    except OSError:
        return False
    return any(mark in text for mark in SECRET_MARKS)
