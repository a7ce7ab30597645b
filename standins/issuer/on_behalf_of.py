"""How does Microsoft Entra exchange the token of a user for one of another API, for an app that acts on its behalf?

The app proves itself by a token of its managed identity: a federated credential. The checks and their numbers are those
of Microsoft's documentation of the flow.
"""

from collections.abc import Mapping
from typing import Any

import jwt

from standins.issuer.entra_tokens import AUDIENCE, ISSUERS, MANAGED_IDENTITY, LocalIssuer, published_keys

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"
DOWNSTREAM = "api://tickets"
"""The API for which the app has delegated permissions; administrators have consented to it."""

type Claims = dict[str, Any]


class RefusedError(Exception):
    """The token request is refused, with an OAuth error and Entra's own words."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


def exchanged(form: Mapping[str, str], issuer: LocalIssuer, tenant: str, *, now: float, lifetime_s: int) -> str:
    """Return a token of the user for the API that the scope names. Raises RefusedError."""
    if form.get("requested_token_use") != "on_behalf_of":
        raise RefusedError("invalid_request", "AADSTS900144: The request body must contain 'requested_token_use'.")
    if form.get("client_id") != AUDIENCE:
        raise RefusedError("unauthorized_client", "AADSTS700016: The application was not found in the directory.")
    check_client(form, issuer, now)
    user = claims_of(form.get("assertion", ""), issuer, now)
    if user["aud"] not in (AUDIENCE, f"api://{AUDIENCE}"):
        raise RefusedError("invalid_grant", "AADSTS500131: Assertion audience does not match the Client app.")
    if user["tid"] != tenant or "scp" not in user:
        raise RefusedError("invalid_grant", "AADSTS50013: Assertion failed validation.")
    audience, _, permission = form.get("scope", "").rpartition("/")
    if audience != DOWNSTREAM or permission != ".default":
        raise RefusedError("invalid_grant", "AADSTS65001: The user or administrator has not consented.")
    own = {"aud": audience, "azp": AUDIENCE, "iat": int(now), "nbf": int(now), "exp": int(now) + lifetime_s}
    return issuer.sign({**user, **own, "iss": ISSUERS["2.0"].format(tenant=tenant), "scp": "Tickets.ReadWrite"})


def check_client(form: Mapping[str, str], issuer: LocalIssuer, now: float) -> None:
    """Check that the app's assertion is a token of the managed identity that its federated credential names."""
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise RefusedError("invalid_client", "AADSTS7000218: The request body must contain 'client_assertion'.")
    proof = claims_of(form.get("client_assertion", ""), issuer, now)
    if proof["aud"] != EXCHANGE_AUDIENCE:
        raise RefusedError("invalid_client", "AADSTS700212: No matching federated identity record for the audience.")
    if proof["sub"] != MANAGED_IDENTITY:
        raise RefusedError("invalid_client", "AADSTS700213: No matching federated identity record for the subject.")


def claims_of(token: str, issuer: LocalIssuer, now: float) -> Claims:
    try:
        key_id = jwt.get_unverified_header(token)["kid"]
        key = next(jwt.PyJWK(each) for each in published_keys(issuer.key_set) if each["kid"] == key_id)
        options: Any = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        claims: Claims = jwt.decode(token, key, algorithms=["RS256"], options=options)
    except (jwt.InvalidTokenError, KeyError, StopIteration):
        raise RefusedError("invalid_grant", "AADSTS50013: Assertion failed signature validation.") from None
    if not claims["nbf"] <= now < claims["exp"]:
        raise RefusedError("invalid_grant", "AADSTS500133: Assertion is not within its valid time range.")
    return claims
