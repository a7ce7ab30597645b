"""Which claims do Google's tokens carry, and which key signs them?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from standins.issuer.entra_tokens import new_key, public_key, write_once
from standins.issuer.federation import ACCOUNT_ID, SERVICE_ACCOUNT

ISSUER = "https://accounts.google.com"
OPAQUE = "ya29.d."
"""The prefix of Google's access tokens; here the rest is a signed token, so that nothing needs to be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleKey:
    key: rsa.RSAPrivateKey
    public: dict[str, Any]

    def id_token(self, *, now: float, audience: str, lifetime_s: int, with_email: bool) -> str:
        email = {"email": SERVICE_ACCOUNT, "email_verified": True} if with_email else {}
        identity = {"iss": ISSUER, "aud": audience, "azp": ACCOUNT_ID, "sub": ACCOUNT_ID}
        return self.sign({**identity, **email, "iat": int(now), "exp": int(now) + lifetime_s})

    def access_token(self, *, now: float, subject: str, lifetime_s: int) -> str:
        return OPAQUE + self.sign({"sub": subject, "aud": OPAQUE, "exp": int(now) + lifetime_s})

    def subject_of(self, token: str, now: float) -> str | None:
        """Gives the subject of an access token that this key signed; None for any other or an expired one."""
        options: Any = {"verify_exp": False, "require": ["sub", "exp"]}
        try:
            claims = jwt.decode(
                token.removeprefix(OPAQUE),
                self.key.public_key(),
                algorithms=["RS256"],
                audience=OPAQUE,
                options=options,
            )
        except jwt.InvalidTokenError:
            return None
        return str(claims["sub"]) if now < float(claims["exp"]) else None

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.public["kid"]})


def google_key_in(data: Path) -> GoogleKey:
    path = data / "identity" / "google.pem"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_once(path, new_key)
    key = cast("rsa.RSAPrivateKey", serialization.load_pem_private_key(path.read_bytes(), password=None))
    return GoogleKey(key=key, public=public_key(key))
