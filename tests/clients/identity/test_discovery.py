"""Is an issuer accepted only when its metadata names the issuer itself?"""

import gzip
import json
import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from clients.identity import discovery as openid
from clients.identity.discovery import IssuerDiscovery
from domain.errors import Unavailable
from domain.identity.access_tokens import TokenIssuer
from tests.clients.identity.issuing import ANOTHER, KEY, FakeIssuer, issuing, public
from tests.domain.identity.test_access_tokens import OTHER, TENANT

NEW = TokenIssuer(tenant=TENANT, version="2.0")
OLD = TokenIssuer(tenant=TENANT, version="1.0")


async def keys_of(issuer: FakeIssuer, origin: TokenIssuer = NEW) -> list[str]:
    async with issuing(issuer):
        return sorted(await IssuerDiscovery(issuer.url).keys(origin))


@pytest.mark.parametrize("origin", [NEW, OLD])
async def test_an_issuer_of_either_version_names_its_keys(origin: TokenIssuer) -> None:
    issuer = FakeIssuer(keys=[public(KEY), public(ANOTHER, kid="two")])
    assert await keys_of(issuer, origin) == ["one", "two"]
    assert issuer.asked == {"discovery": 1, "keys": 1}


ISSUERS = {
    "no issuer named": (None, True),
    "of every tenant": ("https://login.microsoftonline.com/{tenantid}/v2.0", True),
    "of this tenant": (NEW.issuer, True),
    "of this tenant, version 1": (OLD.issuer, True),
    "of another tenant": (NEW.issuer.replace(TENANT, OTHER), False),
    "of somebody else": ("https://evil.example/{tenantid}/v2.0", False),
    "of a number": (7, False),
}


@pytest.mark.parametrize(("issuer", "counts"), ISSUERS.values(), ids=ISSUERS)
async def test_a_key_counts_unless_it_is_another_issuers(issuer: Any, counts: bool) -> None:  # noqa: FBT001 - a table
    own = {} if issuer is None else {"issuer": issuer}
    found = await keys_of(FakeIssuer(keys=[public(KEY), public(ANOTHER, kid="two", **own)]))
    assert found == (["one", "two"] if counts else ["one"])


ODD = {
    "another issuer": {"issuer": NEW.issuer.replace(TENANT, OTHER)},
    "the issuer of the other version": {"issuer": OLD.issuer},
    "no issuer": {"issuer": None},
    "keys elsewhere": {"jwks_uri": "http://127.0.0.1:1/keys"},
    "keys behind a user": {"jwks_uri": "http://login@127.0.0.1/keys"},
    "keys at no address": {"jwks_uri": "http://[/"},
    "keys nowhere": {"jwks_uri": None},
}


@pytest.mark.parametrize("discovery", ODD.values(), ids=ODD)
async def test_an_issuer_that_names_another_issuer_is_rejected(discovery: dict[str, Any]) -> None:
    issuer = FakeIssuer(discovery=discovery)
    with pytest.raises(Unavailable, match="another"):
        await keys_of(issuer)
    assert issuer.asked["keys"] == 0


async def test_a_compressed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    issuer = FakeIssuer(broken=bomb, headers={"content-encoding": "gzip"})
    with pytest.raises(Unavailable), peak_memory(below=2_000_000):
        await keys_of(issuer)


@contextmanager
def peak_memory(*, below: int) -> Generator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < below


BROKEN = {
    "an error": 500,
    "not found": 404,
    "moved elsewhere": 302,
    "no JSON": b"<html>",
    "a list": b"[]",
    "too deep": b"[" * 100_000,
    "too long": json.dumps({"issuer": "x" * openid.SIZE_LIMIT}).encode(),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_an_issuer_that_answers_oddly_is_unavailable(broken: int | bytes) -> None:
    issuer = FakeIssuer(broken=broken)
    with pytest.raises(Unavailable) as caught:
        await keys_of(issuer)
    assert caught.value.delay_s > 0
    assert issuer.asked == {"discovery": 1}


async def test_an_issuer_without_a_usable_key_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="no usable key"):
        await keys_of(FakeIssuer(keys=[public(KEY, use="enc")]))


async def test_an_issuer_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await IssuerDiscovery("http://127.0.0.1:1").keys(NEW)


async def test_an_issuer_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openid, "TIMEOUT_S", 0.2)
    with pytest.raises(Unavailable, match="in time"):
        await keys_of(FakeIssuer(broken="hang"))
