"""Which keys of a document are used, and which are not plainly good?"""

from base64 import urlsafe_b64encode
from math import prod
from typing import Any

import pytest
from jwt.algorithms import RSAAlgorithm

from clients.identity.signing_keys import GENERATOR, SMALL_PRIMES, usable_keys
from tests.clients.identity.issuing import ANOTHER, KEY, WEAK
from tests.clients.identity.test_authenticator import public

PRIVATE = RSAAlgorithm.to_jwk(KEY, as_dict=True)


def factorable() -> dict[str, Any]:
    """Return a key whose modulus has the structure of CVE-2017-15361."""
    step = prod(SMALL_PRIMES)
    modulus = pow(GENERATOR, 12_345, step) + (2**2047 // step) * step
    odd = modulus if modulus % 2 else modulus + step
    return public(KEY, n=urlsafe_b64encode(odd.to_bytes(256)).rstrip(b"=").decode())


UNUSABLE: dict[str, list[Any]] = {
    "for encryption": [public(KEY, use="enc")],
    "without a use": [{name: value for name, value in public(KEY).items() if name != "use"}],
    "for another algorithm": [public(KEY, alg="RS512")],
    "of another type": [public(KEY, kty="EC")],
    "too short": [public(WEAK)],
    "a small exponent": [public(KEY, e="Aw")],
    "an even exponent": [public(KEY, e="AQAC")],
    "no base64url": [public(KEY, n="a+b")],
    "without a name": [public(KEY, kid="")],
    "a name that is a number": [public(KEY, kid=1)],
    "a private key": [{**PRIVATE, "kid": "one", "use": "sig"}],
    "two of one name": [public(KEY), public(ANOTHER)],
    "two of one name, one unusable": [public(KEY), public(WEAK)],
    "of a library whose keys can be factored": [factorable()],
    "for signing only": [public(KEY, key_ops=["sign"])],
    "for an operation that is no list": [public(KEY, key_ops="verify")],
    "no object": ["key"],
    "a modulus that is a list": [public(KEY, n=[1])],
}


@pytest.mark.parametrize("keys", UNUSABLE.values(), ids=UNUSABLE)
def test_a_key_that_is_not_plainly_good_is_not_used(keys: list[Any]) -> None:
    assert usable_keys({"keys": keys}) == {}


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": {}}, {"keys": []}])
def test_a_file_without_keys_has_no_keys(document: Any) -> None:
    assert usable_keys(document) == {}


def test_a_key_for_verifying_is_used() -> None:
    assert list(usable_keys({"keys": [public(KEY, key_ops=["verify"])]})) == ["one"]


def test_a_bad_key_does_not_spoil_a_good_one() -> None:
    assert list(usable_keys({"keys": [public(KEY), public(WEAK, kid="weak"), None]})) == ["one"]
