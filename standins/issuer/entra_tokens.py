"""Which key signs the access tokens of this machine, and which claims do they carry?

The issuer is a folder of files. `private.pem`, readable only by its owner, signs. `jwks.json` holds the public keys
that a verifier accepts: of this key and of former ones. `secret` is the password of every user and the header of the
managed identity endpoint. The tokens have the claims of Microsoft Entra's access tokens, version 1 and 2.
"""

import contextlib
import json
import os
import secrets
import tempfile
import uuid
from collections.abc import Callable
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
UNTRUSTED_TENANTS = ("northwind",)
SCOPE = "access_as_user"
ROLE = "Turns.ReadWrite"

type TokenVersion = Literal["1.0", "2.0"]
ISSUERS: dict[TokenVersion, str] = {
    "1.0": "https://sts.windows.net/{tenant}/",
    "2.0": "https://login.microsoftonline.com/{tenant}/v2.0",
}
CALLER_CLAIM: dict[TokenVersion, str] = {"1.0": "appid", "2.0": "azp"}


def guid_of(kind: str, name: str) -> str:
    """Gives the GUID of a tenant, user or app: a GUID stays as it is, a name always gives the same GUID."""
    try:
        return str(uuid.UUID(name))
    except ValueError:
        return str(uuid.uuid5(NAMES, f"{kind}/{name}"))


MANAGED_APP = "ganglion"
MANAGED_IDENTITY = guid_of("principal", f"{TENANTS[0]}/{MANAGED_APP}")
"""The object id of the app's managed identity, in the first tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalIssuer:
    key: rsa.RSAPrivateKey
    key_id: str
    key_set: Path
    secret: str

    def user_token(
        self,
        *,
        now: float,
        user: str = "alice",
        tenant: str = "contoso",
        version: TokenVersion = "2.0",
        lifetime_s: int = LIFETIME_S,
        claims: dict[str, Any] | None = None,
    ) -> str:
        """Signs the token of a signed-in user; a claim with the value None is left out."""
        caller = {
            "oid": guid_of("user", f"{tenant}/{user}"),
            "scp": SCOPE,
            CALLER_CLAIM[version]: guid_of("app", "front-end"),
        }
        return self.sign({**common_claims(tenant, version, now, lifetime_s, user), **caller, **(claims or {})})

    def app_token(
        self,
        *,
        now: float,
        app: str = "batch",
        tenant: str = "contoso",
        version: TokenVersion = "2.0",
        lifetime_s: int = LIFETIME_S,
        claims: dict[str, Any] | None = None,
    ) -> str:
        """Signs the token of an app that acts in its own name."""
        own = {"oid": guid_of("principal", f"{tenant}/{app}"), CALLER_CLAIM[version]: guid_of("app", app)}
        rights = {"idtyp": "app", "roles": [ROLE]}
        return self.sign({**common_claims(tenant, version, now, lifetime_s, app), **own, **rights, **(claims or {})})

    def identity_token(self, *, now: float, resource: str, lifetime_s: int = LIFETIME_S) -> str:
        """Signs the token that the managed identity of the first tenant gets for a resource."""
        audience = {"aud": resource, "roles": None, "sub": MANAGED_IDENTITY}
        return self.app_token(now=now, app=MANAGED_APP, version="1.0", lifetime_s=lifetime_s, claims=audience)

    def sign(self, claims: dict[str, Any]) -> str:
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(present, self.key, algorithm="RS256", headers={"kid": self.key_id})


def common_claims(tenant: str, version: TokenVersion, now: float, lifetime_s: int, name: str) -> dict[str, Any]:
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


def issuer_in(data: Path) -> LocalIssuer:
    """Opens the issuer in `data`/identity; creates its key and secret the first time."""
    folder = data / "identity"
    folder.mkdir(parents=True, exist_ok=True)
    private, key_set, secret = folder / "private.pem", folder / "jwks.json", folder / "secret"
    write_once(private, new_key)
    write_once(secret, lambda: secrets.token_hex(16).encode())
    key = cast("rsa.RSAPrivateKey", serialization.load_pem_private_key(private.read_bytes(), password=None))
    public = public_key(key)
    write_once(key_set, lambda: key_set_json([public]))
    return LocalIssuer(key=key, key_id=public["kid"], key_set=key_set, secret=secret.read_text())


def rotate(data: Path) -> LocalIssuer:
    """Creates a new signing key; former keys stay published."""
    before = issuer_in(data)
    private = new_key()
    key = cast("rsa.RSAPrivateKey", serialization.load_pem_private_key(private, password=None))
    write(before.key_set, key_set_json([public_key(key), *published_keys(before.key_set)]))
    write(data / "identity" / "private.pem", private)
    return issuer_in(data)


def retire(data: Path) -> LocalIssuer:
    """Publishes only the current signing key."""
    issuer = issuer_in(data)
    write(issuer.key_set, key_set_json([public_key(issuer.key)]))
    return issuer


def published_keys(key_set: Path) -> list[dict[str, Any]]:
    return json.loads(key_set.read_text())["keys"]


def key_set_json(keys: list[dict[str, Any]]) -> bytes:
    return json.dumps({"keys": keys}, indent=2).encode()


def public_key(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**public, "kid": guid_of("key", str(public["n"])), "use": "sig", "alg": "RS256"}


def new_key() -> bytes:
    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_once(path: Path, make: Callable[[], bytes]) -> None:
    """Writes a file of mode 600 atomically; the first writer wins."""
    if path.exists():
        return
    temporary = written_temporary(path, make())
    with contextlib.suppress(FileExistsError):
        os.link(temporary, path)
    temporary.unlink()


def write(path: Path, data: bytes) -> None:
    written_temporary(path, data).replace(path)


def written_temporary(path: Path, data: bytes) -> Path:
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    return Path(name)
