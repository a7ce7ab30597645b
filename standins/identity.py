"""Who signs the access tokens of this machine, and what do they say?

A local issuer as files: `private.pem`, readable by its owner alone, and `jwks.json`, the public half that a verifier
pins. Its tokens have the shapes of Microsoft Entra's access tokens, version 1 and 2.
"""

import json
import os
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

KEY_BITS = 2048
LIFETIME_S = 3600
NAMES = uuid.UUID("6e1d0f0a-52a4-4c0e-9b6f-3f6b1c1f7d11")
AUDIENCE = "0b9c2f5e-7a41-4d5d-8f0e-2d1a6c3b9e47"
TENANTS = ("contoso", "fabrikam")
SCOPE = "access_as_user"
ROLE = "Turns.ReadWrite"

type Version = Literal["1.0", "2.0"]
ISSUERS: dict[Version, str] = {
    "1.0": "https://sts.windows.net/{tenant}/",
    "2.0": "https://login.microsoftonline.com/{tenant}/v2.0",
}
CALLER_CLAIM: dict[Version, str] = {"1.0": "appid", "2.0": "azp"}


def guid_of(kind: str, name: str) -> str:
    """Gives the GUID of a tenant, user or app: a GUID stands for itself, a name always for the same GUID."""
    try:
        return str(uuid.UUID(name))
    except ValueError:
        return str(uuid.uuid5(NAMES, f"{kind}/{name}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    key: rsa.RSAPrivateKey
    key_id: str
    key_set: Path

    def user_token(
        self,
        *,
        now: float,
        user: str = "alice",
        tenant: str = "contoso",
        version: Version = "2.0",
        lifetime_s: int = LIFETIME_S,
        claims: dict[str, Any] | None = None,
    ) -> str:
        """Signs what a signed-in user sends; a claim given as None is left out."""
        caller = {
            "oid": guid_of("user", f"{tenant}/{user}"),
            "scp": SCOPE,
            CALLER_CLAIM[version]: guid_of("app", "front-end"),
        }
        return self.sign({**common(tenant, version, now, lifetime_s, user), **caller, **(claims or {})})

    def app_token(
        self,
        *,
        now: float,
        app: str = "batch",
        tenant: str = "contoso",
        version: Version = "2.0",
        lifetime_s: int = LIFETIME_S,
        claims: dict[str, Any] | None = None,
    ) -> str:
        """Signs what a program sends in its own name."""
        own = {"oid": guid_of("principal", f"{tenant}/{app}"), CALLER_CLAIM[version]: guid_of("app", app)}
        rights = {"idtyp": "app", "roles": [ROLE]}
        return self.sign({**common(tenant, version, now, lifetime_s, app), **own, **rights, **(claims or {})})

    def sign(self, claims: dict[str, Any]) -> str:
        given = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(given, self.key, algorithm="RS256", headers={"kid": self.key_id})


def common(tenant: str, version: Version, now: float, lifetime_s: int, name: str) -> dict[str, Any]:
    tenant_id = guid_of("tenant", tenant)
    return {
        "iss": ISSUERS[version].format(tenant=tenant_id),
        "aud": AUDIENCE,
        "tid": tenant_id,
        "sub": guid_of("subject", f"{tenant}/{name}"),
        "ver": version,
        "iat": int(now),
        "nbf": int(now),
        "exp": int(now) + lifetime_s,
    }


def issuer_in(data: Path) -> Issuer:
    """Opens the issuer under `data`/identity, making its key the first time."""
    folder = data / "identity"
    private = folder / "private.pem"
    if not private.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_once(private, new_key())
    key = cast("rsa.RSAPrivateKey", serialization.load_pem_private_key(private.read_bytes(), password=None))
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    key_id = guid_of("key", str(public["n"]))
    key_set = folder / "jwks.json"
    if not key_set.exists():
        entry = {**public, "kid": key_id, "use": "sig", "alg": "RS256"}
        write_once(key_set, json.dumps({"keys": [entry]}, indent=2).encode())
    return Issuer(key=key, key_id=key_id, key_set=key_set)


def new_key() -> bytes:
    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_once(path: Path, data: bytes) -> None:
    """Writes a file of mode 600 whole or not at all; whoever comes first wins."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    try:
        os.link(name, path)
    except FileExistsError:
        return
    finally:
        Path(name).unlink()
