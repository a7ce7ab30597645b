"""With which keys may an access token be signed?"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from domain.claims import ALGORITHM, decoded
from domain.errors import Unauthenticated, Unavailable

KEY_BITS = 2048
EXPONENTS = range(65_537, 2**32, 2)

type KeySet = Mapping[str, Mapping[str, str]]


def usable_keys(document: object) -> KeySet:
    """Return the public keys of a JSON Web Key Set by their ids; a key that is weak, ambiguous or not for it is out."""
    listed = cast("dict[str, Any]", document).get("keys") if isinstance(document, dict) else None
    entries = cast("list[Any]", listed) if isinstance(listed, list) else []
    keys = [cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict)]
    named = Counter(key["kid"] for key in keys if isinstance(key.get("kid"), str))
    return {
        key["kid"]: {"kty": "RSA", "n": key["n"], "e": key["e"]}
        for key in keys
        if is_signing_key(key) and named[key["kid"]] == 1
    }


def is_signing_key(key: Mapping[str, Any]) -> bool:
    texts = all(isinstance(key.get(name), str) and key[name] for name in ("kid", "n", "e"))
    meant = (key.get("kty"), key.get("use"), key.get("alg", ALGORITHM)) == ("RSA", "sig", ALGORITHM)
    return texts and meant and "d" not in key and is_strong(key)


def is_strong(key: Mapping[str, str]) -> bool:
    try:
        modulus = int.from_bytes(decoded(key["n"]))
        exponent = int.from_bytes(decoded(key["e"]))
    except Unauthenticated:
        return False
    return modulus.bit_length() >= KEY_BITS and modulus % 2 == 1 and exponent in EXPONENTS


class KeyFile:
    """The keys in a file, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: tuple[int, int, int] | None = None
        self.keys: KeySet = {}

    def current(self) -> KeySet:
        """Return the keys as the file has them now; raises Unavailable where it can't be read."""
        try:
            stat = self.path.stat()
            version = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if version != self.seen:
                self.keys = usable_keys(json.loads(self.path.read_bytes()))
                self.seen = version
        except (OSError, ValueError, RecursionError):
            self.seen = None
            raise Unavailable("The signing keys can't be read.", delay_s=1.0) from None
        return self.keys
