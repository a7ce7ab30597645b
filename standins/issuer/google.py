"""How does Google exchange an Entra token and let its holder act as a service account?"""

import json
from datetime import UTC, datetime
from typing import Any

import jwt
from aiohttp import web

from standins.issuer.entra_tokens import ISSUERS, TENANTS, guid_of, published_keys
from standins.issuer.federation import POOL_PATH, PROVIDER, RESOURCE, SERVICE_ACCOUNT
from standins.issuer.google_tokens import GoogleKey
from standins.issuer.issuer_state import IssuerState
from standins.json_values import Json, json_object

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a token type
SUBJECT_TYPES = ("urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token")
EXPECTED_ISSUER = ISSUERS["1.0"].format(tenant=guid_of("tenant", TENANTS[0]))
SIGNATURE_ONLY: Any = {
    **dict.fromkeys(("verify_aud", "verify_exp", "verify_nbf", "verify_iat"), False),
    "require": ["iss", "aud", "exp", "sub"],
}
NO_PROVIDER = (
    'The target service indicated by the "audience" parameters is invalid. This might either be because the pool or '
    "provider is disabled or deleted or because it doesn't exist."
)
NO_TOKEN = "Request had invalid authentication credentials. Expected OAuth 2 access token or other valid credential."  # noqa: S105 - a message
LONGEST_S = 3600


class GoogleTokenService:
    def __init__(self, key: GoogleKey) -> None:
        self.key = key

    async def keys(self, _world: IssuerState, _request: web.Request) -> web.Response:
        return web.json_response({"keys": [self.key.public]})

    async def exchange(self, state: IssuerState, request: web.Request) -> web.Response:
        """Exchanges an Entra token that the provider trusts for an access token of Google."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        if problem := invalid_parameter(form):
            return oauth_error("invalid_request", problem)
        if form.get("audience") != PROVIDER or not state.conditions.provider:
            return oauth_error("invalid_target", NO_PROVIDER)
        try:
            subject = await trusted_subject(state, form["subject_token"])
        except jwt.InvalidTokenError as problem:
            return oauth_error("invalid_grant", str(problem))
        lifetime = state.conditions.access_lifetime
        token = self.key.access_token(now=state.now(), subject=subject, lifetime_s=lifetime)
        body = {"access_token": token, "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer"}
        return web.json_response({**body, "expires_in": lifetime})

    async def allowed_locations(self, state: IssuerState, request: web.Request) -> web.Response:
        if self.bearer(state, request) is None:
            return unauthenticated()
        return web.json_response({"locations": ["us-central1"], "encodedLocations": "0x8000"})

    async def access_token(self, state: IssuerState, request: web.Request) -> web.Response:
        body = await body_of(request)
        if rejected := self.permission_error(state, request, "getAccessToken"):
            return rejected
        wanted = str(body.get("lifetime") or f"{LONGEST_S}s").removesuffix("s")
        if not body.get("scope") or not wanted.isdecimal() or not 0 < int(wanted) <= LONGEST_S:
            return api_error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
        lifetime = min(int(wanted), state.conditions.access_lifetime)
        token = self.key.access_token(now=state.now(), subject=SERVICE_ACCOUNT, lifetime_s=lifetime)
        expires = datetime.fromtimestamp(int(state.now()) + lifetime, UTC)
        return web.json_response({"accessToken": token, "expireTime": f"{expires:%Y-%m-%dT%H:%M:%SZ}"})

    async def id_token(self, state: IssuerState, request: web.Request) -> web.Response:
        body = await body_of(request)
        if rejected := self.permission_error(state, request, "getOpenIdToken"):
            return rejected
        if not body.get("audience"):
            return api_error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
        token = self.key.id_token(
            now=state.now(),
            audience=str(body["audience"]),
            lifetime_s=state.conditions.id_lifetime,
            with_email=bool(body.get("includeEmail")),
        )
        return web.json_response({"token": token})

    def permission_error(self, state: IssuerState, request: web.Request, permission: str) -> web.Response | None:
        """Rejects an invalid token, an unknown account, and a subject that may not act as the account."""
        subject, account = self.bearer(state, request), request.match_info["account"]
        if subject is None:
            return unauthenticated()
        if account != SERVICE_ACCOUNT:
            return api_error(404, "NOT_FOUND", f"Not found; Gaia id not found for email {account}")
        if member_of(subject) not in state.conditions.members:
            return permission_denied(f"iam.serviceAccounts.{permission}")
        return None

    def bearer(self, state: IssuerState, request: web.Request) -> str | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self.key.subject_of(token, state.now()) if scheme.lower() == "bearer" else None


def invalid_parameter(form: dict[str, str]) -> str | None:
    allowed = {"grant_type": (EXCHANGE,), "requested_token_type": (ACCESS_TOKEN,), "subject_token_type": SUBJECT_TYPES}
    for name, values in allowed.items():
        if form.get(name) not in values:
            return f"Invalid value for {name}."
    missing = [name for name in ("audience", "scope", "subject_token") if not form.get(name)]
    return f"Missing {', '.join(missing)}." if missing else None


async def trusted_subject(state: IssuerState, token: str) -> str:
    """Gives the subject of a token that the provider's tenant signed, else raises InvalidTokenError."""
    listed = published_keys((await state.issuer()).key_set)
    keys = {str(entry["kid"]): jwt.PyJWK(entry) for entry in listed}
    key = keys.get(str(jwt.get_unverified_header(token).get("kid")))
    if key is None:
        raise jwt.InvalidTokenError("The signature of the ID Token can't be verified: no key of its issuer signed it.")
    claims = jwt.decode(token, key, algorithms=["RS256"], options=SIGNATURE_ONLY)
    check(claims, state.now())
    return str(claims["sub"])


def check(claims: Json, now: float) -> None:
    issuer, audience = claims["iss"], claims["aud"]
    if issuer != EXPECTED_ISSUER:
        raise jwt.InvalidTokenError(
            f"The issuer in ID Token {issuer} does not match the expected ones: {EXPECTED_ISSUER}."
        )
    if audience != RESOURCE:
        raise jwt.InvalidTokenError(f"The audience in ID Token [{audience}] does not match the expected audience.")
    if now >= float(claims["exp"]):
        raise jwt.InvalidTokenError(f"ID Token issued at {claims.get('iat')} is stale to sign-in.")
    if now < float(claims.get("nbf", 0)):
        raise jwt.InvalidTokenError("ID Token is not yet valid.")


def member_of(subject: str) -> str:
    return f"principal://iam.googleapis.com/{POOL_PATH}/subject/{subject}"


async def body_of(request: web.Request) -> Json:
    try:
        return json_object(json.loads(await request.read())) or {}
    except ValueError:
        return {}


def oauth_error(error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=400)


def unauthenticated() -> web.Response:
    return api_error(401, "UNAUTHENTICATED", NO_TOKEN)


def permission_denied(permission: str) -> web.Response:
    reason = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "IAM_PERMISSION_DENIED",
        "domain": "iam.googleapis.com",
        "metadata": {"permission": permission},
    }
    message = f"Permission '{permission}' denied on resource (or it may not exist)."
    return api_error(403, "PERMISSION_DENIED", message, [reason])


def api_error(status: int, code: str, message: str, details: list[Json] | None = None) -> web.Response:
    error: Json = {"code": status, "message": message, "status": code, **({"details": details} if details else {})}
    return web.json_response({"error": error}, status=status)
