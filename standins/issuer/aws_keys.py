"""Which credentials does the stand-in for AWS issue?"""

import hmac
import secrets
from dataclasses import dataclass

ISSUER_SECRET = b"the stand-in for AWS"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCredentials:
    access_key: str
    secret_key: str
    session_token: str


def issued_credentials(expires_at: int) -> IssuedCredentials:
    """Return new credentials. Secret and expiry follow from the session token, so nothing needs to be stored."""
    access_key = f"ASIA{secrets.token_hex(8).upper()}"
    token = f"{access_key}/{expires_at}+{secrets.token_urlsafe(24)}=="
    return IssuedCredentials(access_key=access_key, secret_key=secret_of(token), session_token=token)


def secret_of(session_token: str) -> str:
    return hmac.new(ISSUER_SECRET, session_token.encode(), "sha256").hexdigest()
