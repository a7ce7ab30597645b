"""Is an access token accepted only when a trusted key has signed it?"""

import base64
import hmac
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from clients.identity.authenticator import TokenAuthenticator
from clients.identity.signing_keys import KeyFile
from domain.errors import Forbidden, Unauthenticated, Unavailable
from domain.identity.owners import Owner
from tests.clients.identity.issuing import ANOTHER, KEY
from tests.domain.identity.test_access_tokens import EXPECTED, OID, TENANT, USER
from tests.fakes.clocks import FakeClock

OWNER = Owner(tenant=TENANT, subject=f"user:{OID}")


def public(key: RSAPrivateKey, kid: Any = "one", **changes: Any) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", "alg": "RS256", **changes}


def signed(key: RSAPrivateKey = KEY, kid: str = "one", claims: Mapping[str, Any] = USER, **headers: Any) -> str:
    return jwt.encode(dict(claims), key, algorithm="RS256", headers={"kid": kid, **headers})


def write(path: Path, *keys: Mapping[str, Any]) -> None:
    """Write the keys as their own publisher does: a new file in the place of the old."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"keys": keys}))
    fresh.replace(path)


@pytest.fixture(scope="module")
def jwks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("identity") / "jwks.json"
    write(path, public(KEY))
    return path


def authenticator(path: Path) -> TokenAuthenticator:
    return TokenAuthenticator(keys=KeyFile(path), expected=EXPECTED, clock=FakeClock())


async def test_a_token_signed_by_our_key_names_its_owner(jwks: Path) -> None:
    assert await authenticator(jwks).authenticate(signed()) == OWNER


def tampered(text: str) -> str:
    header, claims, signature = text.split(".")
    return f"{header}.{claims}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


def with_secret() -> str:
    """Sign with the public key as if it were a shared secret."""
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    secret = KEY.public_key().public_bytes(encoding, form)
    parts = jwt.encode(dict(USER), "x" * 64, algorithm="HS256", headers={"kid": "one"}).rpartition(".")[0]
    signature = hmac.digest(secret, parts.encode(), "sha256")
    return f"{parts}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


FORGED = {
    "signed by another key": signed(ANOTHER),
    "names another key": signed(kid="two"),
    "brings its own key": signed(ANOTHER, jwk=public(ANOTHER), jku="https://evil.example/keys"),
    "signature changed": tampered(signed()),
    "claims of another token": ".".join(
        [*signed(claims={**USER, "oid": TENANT}).split(".")[:2], signed().split(".")[2]]
    ),
    "not signed": jwt.encode(dict(USER), "", algorithm="none", headers={"kid": "one"}),
    "the public key as a secret": with_secret(),
}


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED)
async def test_a_forged_token_is_rejected(jwks: Path, text: str) -> None:
    with pytest.raises(Unauthenticated):
        await authenticator(jwks).authenticate(text)


async def test_a_token_is_judged_anew_each_time(jwks: Path) -> None:
    judge = authenticator(jwks)
    clock = judge.clock
    assert isinstance(clock, FakeClock)
    assert await judge.authenticate(signed()) == OWNER
    clock.advance(3661)
    with pytest.raises(Unauthenticated, match="expired"):
        await judge.authenticate(signed())


async def test_a_genuine_token_without_the_scope_is_forbidden(jwks: Path) -> None:
    with pytest.raises(Forbidden):
        await authenticator(jwks).authenticate(signed(claims={**USER, "scp": "other"}))


async def test_keys_are_read_again_when_their_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    write(path, public(KEY))
    judge = authenticator(path)
    assert await judge.authenticate(signed()) == OWNER
    write(path, public(ANOTHER))
    os.utime(path, ns=(1, 1))
    with pytest.raises(Unauthenticated):
        await judge.authenticate(signed())
    assert await judge.authenticate(signed(ANOTHER)) == OWNER


@pytest.mark.parametrize("content", [None, "", "{", "[" * 100_000])
async def test_keys_that_cannot_be_read_are_nobodys_fault(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "jwks.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Unavailable):
        await authenticator(path).authenticate(signed())


GENUINE = signed()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.text()
    | st.integers(0, len(GENUINE) - 1).flatmap(
        lambda place: st.characters().map(lambda sign: GENUINE[:place] + sign + GENUINE[place + 1 :])
    )
    | st.tuples(st.integers(0, len(GENUINE)), st.text(max_size=3)).map(
        lambda cut: GENUINE[: cut[0]] + cut[1] + GENUINE[cut[0] :]
    )
)
async def test_only_the_token_itself_is_accepted(jwks: Path, text: str) -> None:
    if text == GENUINE:
        assert await authenticator(jwks).authenticate(text) == OWNER
        return
    with pytest.raises(Unauthenticated):
        await authenticator(jwks).authenticate(text)
