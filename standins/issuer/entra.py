"""How does Microsoft Entra publish its keys, sign users and apps in, and serve a managed identity?"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from standins.issuer.console import redeem
from standins.issuer.entra_tokens import (
    ISSUERS,
    MANAGED_APP,
    TENANTS,
    UNTRUSTED_TENANTS,
    LocalIssuer,
    TokenVersion,
    guid_of,
    published_keys,
)
from standins.issuer.issuer_state import IssuerState
from standins.issuer.on_behalf_of import JWT_BEARER, RefusedError, exchanged

TENANT_NAMES = {guid_of("tenant", name): name for name in (*TENANTS, *UNTRUSTED_TENANTS)}
SHARED = ("common", "organizations")
ANY_TENANT = "{tenantid}"
MANAGED_CLIENT = guid_of("app", MANAGED_APP)


def discovery(version: TokenVersion) -> Callable[[IssuerState, web.Request], Awaitable[web.Response]]:
    async def answer(_world: IssuerState, request: web.Request) -> web.Response:
        tenant = tenant_in(request)
        return web.json_response(document(version, base_of(request), tenant)) if tenant else no_tenant(request)

    return answer


def document(version: TokenVersion, base: str, tenant: str) -> dict[str, Any]:
    shared = tenant in SHARED
    paths = {"1.0": ("common/discovery/keys", "oauth2"), "2.0": (f"{tenant}/discovery/v2.0/keys", "oauth2/v2.0")}
    keys, oauth = paths[version]
    return {
        "issuer": ISSUERS[version].format(tenant=ANY_TENANT if shared else tenant),
        "authorization_endpoint": f"{base}/{tenant}/{oauth}/authorize",
        "token_endpoint": f"{base}/{tenant}/{oauth}/token",
        "jwks_uri": f"{base}/{keys}",
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
    }


def keys(version: TokenVersion) -> Callable[[IssuerState, web.Request], Awaitable[web.Response]]:
    async def answer(state: IssuerState, request: web.Request) -> web.Response:
        tenant = tenant_in(request)
        if tenant is None:
            return no_tenant(request)
        issuer = ISSUERS[version].format(tenant=ANY_TENANT if tenant in SHARED else tenant)
        listed = published_keys((await state.issuer()).key_set)
        return web.json_response({"keys": [published_key(key, issuer) for key in listed]})

    return answer


def published_key(key: Mapping[str, Any], issuer: str) -> dict[str, Any]:
    """Gives a key in the form that Entra publishes: with its issuer and without an algorithm."""
    return {name: key[name] for name in ("kty", "use", "kid", "n", "e")} | {"issuer": issuer}


async def sign_in(state: IssuerState, request: web.Request) -> web.Response:
    """Signs a user in by password, or an app by its client secret; both are the secret of this issuer."""
    tenant, form, issuer = tenant_in(request), await request.post(), await state.issuer()
    if form.get("grant_type") == "authorization_code":
        origin = request.headers.get("origin", "")
        answer, status = await redeem(state, {name: str(value) for name, value in form.items()}, origin)
        return web.json_response(answer, status=status, headers={"access-control-allow-origin": origin or "null"})
    if tenant is None or tenant in SHARED:
        return no_tenant(request)
    fields = {name: str(value) for name, value in form.items()}
    if fields.get("grant_type") == JWT_BEARER:
        return on_behalf_of(fields, issuer, tenant, state)
    grant = GRANTS.get(fields.get("grant_type", ""))
    if grant is None:
        return oauth_error("unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.")
    version: TokenVersion = "2.0" if "v2.0" in request.path else "1.0"
    token = grant(fields, issuer, tenant, version, state)
    if token is None:
        return oauth_error(
            "invalid_grant", "AADSTS50126: Error validating credentials due to invalid username or password."
        )
    lifetime = state.conditions.entra_lifetime
    return web.json_response({"token_type": "Bearer", "expires_in": lifetime, "access_token": token})


def on_behalf_of(form: Mapping[str, str], issuer: LocalIssuer, tenant: str, state: IssuerState) -> web.Response:
    lifetime = state.conditions.entra_lifetime
    try:
        token = exchanged(form, issuer, tenant, now=state.now(), lifetime_s=lifetime)
    except RefusedError as refused:
        return oauth_error(refused.error, str(refused))
    return web.json_response({"token_type": "Bearer", "expires_in": lifetime, "access_token": token})


def by_password(
    form: Mapping[str, str], issuer: LocalIssuer, tenant: str, version: TokenVersion, state: IssuerState
) -> str | None:
    if form.get("password") != issuer.secret or not form.get("username"):
        return None
    name, lifetime = TENANT_NAMES[tenant], state.conditions.entra_lifetime
    return issuer.user_token(
        now=state.now(), user=form["username"].split("@")[0], tenant=name, version=version, lifetime_s=lifetime
    )


def by_secret(
    form: Mapping[str, str], issuer: LocalIssuer, tenant: str, version: TokenVersion, state: IssuerState
) -> str | None:
    if form.get("client_secret") != issuer.secret or not form.get("client_id"):
        return None
    name, lifetime = TENANT_NAMES[tenant], state.conditions.entra_lifetime
    return issuer.app_token(now=state.now(), app=form["client_id"], tenant=name, version=version, lifetime_s=lifetime)


GRANTS = {"password": by_password, "client_credentials": by_secret}


async def managed_identity(state: IssuerState, request: web.Request) -> web.Response:
    """Answers like the endpoint that App Service names in IDENTITY_ENDPOINT and IDENTITY_HEADER."""
    issuer, query = await state.issuer(), request.query
    if request.headers.get("X-IDENTITY-HEADER") != issuer.secret:
        return identity_error(403, "The identity header is missing or wrong.")
    if not state.conditions.managed_identity or query.get("client_id", MANAGED_CLIENT) != MANAGED_CLIENT:
        return identity_error(
            400, "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId."
        )
    resource = query.get("resource", "")
    if not resource or query.get("api-version") != "2019-08-01":
        return identity_error(400, "The request needs a resource and the api-version 2019-08-01.")
    lifetime = state.conditions.entra_lifetime
    token = issuer.identity_token(now=state.now(), resource=resource, lifetime_s=lifetime)
    body = {"access_token": token, "expires_on": str(int(state.now()) + lifetime), "token_type": "Bearer"}
    return web.json_response({**body, "resource": resource, "client_id": MANAGED_CLIENT})


def tenant_in(request: web.Request) -> str | None:
    """Gives the tenant of the path as its GUID, or the name that means all tenants."""
    name = request.match_info["tenant"]
    if name in SHARED:
        return name
    tenant = guid_of("tenant", name)
    return tenant if tenant in TENANT_NAMES else None


def base_of(request: web.Request) -> str:
    return f"http://{request.host}"


def no_tenant(request: web.Request) -> web.Response:
    return oauth_error("invalid_tenant", f"AADSTS90002: Tenant '{request.match_info['tenant']}' not found.")


def oauth_error(error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=400)


def identity_error(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": message}, status=status)
