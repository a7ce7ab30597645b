"""Which keys may sign an access token?"""

import json
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, cast

from msgspec import Struct

from domain.errors import Unauthenticated, Unavailable
from domain.identity.access_tokens import ALGORITHM, ISSUERS, TokenIssuer, decode_base64url

KEY_BITS = 2048
EXPONENTS = range(65_537, 2**32, 2)
KEYS_IN_MEMORY = 256
GENERATOR = 65_537
SMALL_PRIMES = tuple(number for number in range(3, 168) if all(number % smaller for smaller in range(2, number)))


class SigningKey(Struct, frozen=True, kw_only=True):
    """The public half of an RSA key: modulus and exponent in the encoding of a JSON Web Key."""

    n: str
    e: str


type KeySet = Mapping[str, SigningKey]


class SigningKeys(Protocol):
    """Finds the signing keys of every accepted issuer."""

    async def find(self, origin: TokenIssuer, key_id: str) -> SigningKey | None:
        """Return the key, None if the issuer has no key with that id. Raises Unavailable if the keys are unknown."""
        ...


def usable_keys(document: object, origin: TokenIssuer | None = None) -> KeySet:
    """Return the public keys of a JSON Web Key Set by id, without keys that are weak, ambiguous or for other purposes.

    With an origin, keys that name another issuer are left out too.
    """
    listed = cast("dict[str, Any]", document).get("keys") if isinstance(document, dict) else None
    entries = cast("list[Any]", listed) if isinstance(listed, list) else []
    keys = [cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict)]
    named = Counter(key["kid"] for key in keys if isinstance(key.get("kid"), str))
    return {
        key["kid"]: SigningKey(n=key["n"], e=key["e"])
        for key in keys
        if is_signing_key(key) and named[key["kid"]] == 1 and (origin is None or belongs(key, origin))
    }


def is_signing_key(key: Mapping[str, Any]) -> bool:
    texts = all(isinstance(key.get(name), str) and key[name] for name in ("kid", "n", "e"))
    meant = (key.get("kty"), key.get("use"), key.get("alg", ALGORITHM)) == ("RSA", "sig", ALGORITHM)
    return texts and meant and may_verify(key) and "d" not in key and is_strong(key)


def may_verify(key: Mapping[str, Any]) -> bool:
    """Return whether a key is meant for checking signatures, as far as it says what it is for."""
    operations = key.get("key_ops")
    return operations is None or (isinstance(operations, list) and "verify" in operations)


def is_strong(key: Mapping[str, str]) -> bool:
    try:
        modulus, exponent = number(key["n"]), number(key["e"])
    except Unauthenticated:
        return False
    odd = modulus % 2 == 1 and exponent in EXPONENTS
    return odd and modulus.bit_length() >= KEY_BITS and not has_known_structure(modulus)


def has_known_structure(modulus: int) -> bool:
    """Return whether a modulus was made by the library of CVE-2017-15361 (ROCA), whose keys can be factored.

    Its primes are powers of 65,537 modulo many small primes (Nemec et al., CCS 2017, section 3); of other moduli, one
    in 2**39 looks so.
    """
    return all(modulus % prime in residues(prime) for prime in SMALL_PRIMES)


@lru_cache(maxsize=len(SMALL_PRIMES))
def residues(prime: int) -> frozenset[int]:
    """Return the powers of 65,537 modulo a prime."""
    found, power = set[int](), 1
    while power not in found:
        found.add(power)
        power = power * GENERATOR % prime
    return frozenset(found)


def belongs(key: Mapping[str, Any], origin: TokenIssuer) -> bool:
    """Return whether a key belongs to the tenant: a set that tenants share names the issuer of each key."""
    issuer = key.get("issuer")
    own = {template.format(tid=origin.tenant) for template in ISSUERS.values()}
    return issuer is None or (isinstance(issuer, str) and issuer.replace("{tenantid}", origin.tenant) in own)


def number(text: str) -> int:
    return int.from_bytes(decode_base64url(text))


def is_signed(signed: bytes, signature: bytes, key: SigningKey) -> bool:
    """Return whether the key made this signature (RS256)."""
    from jwt.algorithms import RSAAlgorithm  # noqa: PLC0415 - cryptography is slow to import and not needed at start

    return RSAAlgorithm(RSAAlgorithm.SHA256).verify(signed, public_key(key), signature)


@lru_cache(maxsize=KEYS_IN_MEMORY)
def public_key(key: SigningKey) -> Any:
    from jwt.algorithms import RSAAlgorithm  # noqa: PLC0415 - as above

    return RSAAlgorithm.from_jwk({"kty": "RSA", "n": key.n, "e": key.e})


class KeyFile:
    """The keys of every issuer in one file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file_version: tuple[int, int, int] | None = None
        self.keys: KeySet = {}

    async def find(self, origin: TokenIssuer, key_id: str) -> SigningKey | None:  # noqa: ARG002 - one file signs for all
        return self.current().get(key_id)

    def current(self) -> KeySet:
        """Return the keys that the file contains now. Raises Unavailable if it cannot be read."""
        try:
            stat = self.path.stat()
            version = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if version != self.file_version:
                self.keys = usable_keys(json.loads(self.path.read_bytes()))
                self.file_version = version
        except (OSError, ValueError, RecursionError):
            self.file_version = None
            raise Unavailable("The file with the signing keys cannot be read. Retry later.", delay_s=1.0) from None
        return self.keys
