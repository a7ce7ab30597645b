"""Are callers recognized, and does the app's own identity reach the other clouds?"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final

from clients.backends.credentials import Hop
from clients.backends.port import BackendError
from clients.identity.discovery import IssuerDiscovery
from domain.errors import Forbidden, Unauthenticated, Unavailable
from domain.fleet.catalog import AuthKind, Backend
from domain.identity.access_tokens import (
    CHECKS,
    GUID,
    SCOPE,
    AcceptedTokens,
    TokenIssuer,
    application_owner,
    read_token,
    user_owner,
)
from domain.identity.roles import AppRole
from ganglion.doctor.findings import Fault, error, warning
from ganglion.doctor.subject import NotRunError, Subject

REGISTRATION: Final = "az ad app show --id {audience}"
FEDERATED: Final = (
    AuthKind.ENTRA,
    AuthKind.GOOGLE_ID_TOKEN,
    AuthKind.GOOGLE_ACCESS_TOKEN,
    AuthKind.AWS_KEY,
    AuthKind.AWS_SIGV4,
)


def audience(subject: Subject) -> Iterator[Fault]:
    """A token of version 2 carries the application's id, one of version 1 possibly its api:// address."""
    found = subject.settings.token_audience
    if not GUID.fullmatch(found.removeprefix("api://")) and not found.startswith("api://"):
        text = f"GANGLION_TOKEN_AUDIENCE is {found!r}: expected the id of the Entra application, a GUID"
        yield error(text, subject.set_command("GANGLION_TOKEN_AUDIENCE", "$(az ad app list --query [0].appId -o tsv)"))


def tenants(subject: Subject) -> Iterator[Fault]:
    for tenant in sorted(subject.settings.token_tenants):
        if not GUID.fullmatch(tenant):
            text = (
                f"GANGLION_TOKEN_TENANTS contains {tenant!r}: expected the id of an Entra tenant, a GUID in lower case"
            )
            yield error(
                text, subject.set_command("GANGLION_TOKEN_TENANTS", "$(az account show --query tenantId -o tsv)")
            )


async def issuer(subject: Subject) -> AsyncIterator[Fault]:
    """Fetch the keys of each tenant as the app does. A key file needs no issuer."""
    if subject.settings.token_keys:
        raise NotRunError("a key file replaces the issuer")
    discovery = IssuerDiscovery(subject.settings.token_authority)
    for tenant in sorted(each for each in subject.settings.token_tenants if GUID.fullmatch(each)):
        try:
            await subject.outside.issuer_keys(discovery, TokenIssuer(tenant=tenant, version="2.0"))
        except Unavailable as problem:
            address = f"{discovery.authority}/{tenant}/v2.0/.well-known/openid-configuration"
            yield error(f"{problem} ({address})", f"curl -fsS {address}")


def token(subject: Subject) -> Iterator[Fault]:
    """Check the claims of the caller's token one after another; the first wrong one explains the others."""
    parsed = given_token(subject)
    if any(audience(subject)):
        raise NotRunError("correct the error of identity.audience first")
    if isinstance(parsed, str):
        yield error(parsed, "export GANGLION_ACCESS_TOKEN=$(make -s token)")
        return
    expected = AcceptedTokens(audience=subject.settings.token_audience, tenants=subject.settings.token_tenants)
    for check in CHECKS:
        if problem := check(parsed, expected, subject.target.now):
            app = subject.settings.token_audience
            fix = (
                f"az account get-access-token --resource {app}"
                if "expired" in problem
                else REGISTRATION.format(audience=app)
            )
            yield error(problem, fix)
            return


def token_version(subject: Subject) -> Iterator[Fault]:
    parsed = given_token(subject)
    if not isinstance(parsed, str) and parsed.get("ver") == "1.0":
        app = subject.settings.token_audience
        text = "the access token has version 1.0; version 2.0 has the application's id as its audience"
        yield warning(text, f"az ad app update --id {app} --set api.requestedAccessTokenVersion=2")


def token_permission(subject: Subject) -> Iterator[Fault]:
    parsed = given_token(subject)
    try:
        if not isinstance(parsed, str):
            (application_owner if parsed.get("idtyp") == "app" else user_owner)(parsed)
    except Forbidden as problem:
        yield error(
            f"{problem} Role: {AppRole.TURNS}; scope: {SCOPE}.", "az ad app permission admin-consent --id CALLER"
        )
    except KeyError:
        return  # identity.token reports the missing claim


def given_token(subject: Subject) -> dict[str, object] | str:
    """Return the claims of the caller's token, or what is wrong with its form."""
    if not subject.target.token:
        raise NotRunError("set GANGLION_ACCESS_TOKEN to a caller's access token")
    try:
        return dict(read_token(subject.target.token).claims)
    except Unauthenticated as problem:
        return str(problem)


async def hop_faults(subject: Subject, hop: Hop) -> AsyncIterator[Fault]:
    """Authenticate each backend, and yield the failures of one hop of the way."""
    backends = [each for each in subject.backends if each.auth.kind in FEDERATED]
    if not backends:
        raise NotRunError("no enabled backend needs the app's identity")
    passed = False
    for backend in backends:
        failure = await authentication_failure(subject, backend)
        if failure.startswith(hop.value):
            yield error(f"backends.{backend.name}.auth: {failure}", f"terraform -chdir=infra/{folder(backend)} apply")
        passed = passed or not failure or not failure.startswith(Hop.IDENTITY.value)
    if hop is not Hop.IDENTITY and not passed:
        raise NotRunError("the managed identity gives no token: see identity.managed")


def folder(backend: Backend) -> str:
    return "aws" if backend.auth.kind in (AuthKind.AWS_KEY, AuthKind.AWS_SIGV4) else "google"


async def authentication_failure(subject: Subject, backend: Backend) -> str:
    """Return what failed on the way to a backend's token, beginning with the name of the hop; "" where nothing did.

    All checks share one exchange of a backend.
    """
    if backend.name not in subject.exchanges:
        subject.exchanges[backend.name] = asyncio.ensure_future(exchange(subject, backend))
    return await subject.exchanges[backend.name]


async def exchange(subject: Subject, backend: Backend) -> str:
    try:
        await subject.outside.credentials(subject.settings, backend, backend.url)
    except BackendError as problem:
        return problem.failure.body or str(problem)
    return ""


async def managed_identity(subject: Subject) -> AsyncIterator[Fault]:
    async for fault in hop_faults(subject, Hop.IDENTITY):
        yield fault


async def google_sts(subject: Subject) -> AsyncIterator[Fault]:
    async for fault in hop_faults(subject, Hop.STS):
        yield fault


async def google_iam(subject: Subject) -> AsyncIterator[Fault]:
    async for fault in hop_faults(subject, Hop.IAM):
        yield fault


async def aws_sts(subject: Subject) -> AsyncIterator[Fault]:
    async for fault in hop_faults(subject, Hop.AWS_STS):
        yield fault
