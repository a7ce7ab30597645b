"""Are an issuer's keys asked for seldom, by one at a time, and kept through an outage?"""

import asyncio
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.identity.authenticator import TokenAuthenticator
from clients.identity.discovery import IssuerDiscovery
from clients.identity.jwks_cache import KEPT_S, REFRESH_S, RETRY_S, UNKNOWN_S, JwksCache
from clients.identity.signing_keys import KeySet, SigningKey, usable_keys
from domain.errors import Unauthenticated, Unavailable
from domain.identity.access_tokens import TokenIssuer
from domain.identity.owners import Owner
from tests.clients.identity.issuing import ANOTHER, KEY, FakeIssuer, issuing, public
from tests.domain.identity.test_access_tokens import EXPECTED, OID, OLD_USER, OTHER, TENANT, USER
from tests.fakes.clocks import FakeClock

ORIGIN = TokenIssuer(tenant=TENANT, version="2.0")
OWNER = Owner(tenant=TENANT, subject=f"user:{OID}")
ONE = SigningKey(n="one", e="AQAB")


class Published:
    """Gives out keys, counts how often, and fails or waits when told to."""

    def __init__(self, *names: str) -> None:
        self.keys: KeySet = dict.fromkeys(names, ONE)
        self.fetches = 0
        self.down = False
        self.gate: asyncio.Event | None = None

    async def fetch(self, origin: TokenIssuer) -> KeySet:
        assert origin == ORIGIN
        self.fetches += 1
        await asyncio.sleep(0)
        if self.gate:
            await self.gate.wait()
        if self.down:
            raise Unavailable("The issuer is down.", delay_s=RETRY_S)
        return self.keys


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def keys_from(published: Published) -> tuple[JwksCache, FakeClock]:
    clock = FakeClock()
    return JwksCache(published.fetch, clock), clock


async def test_a_known_key_is_fetched_once_an_hour() -> None:
    published = Published("one")
    keys, clock = keys_from(published)
    for _ in range(100):
        assert await keys.find(ORIGIN, "one") == ONE
        clock.advance(REFRESH_S / 101)
    await settle()
    assert published.fetches == 1


async def test_after_an_hour_keys_are_fetched_in_the_background() -> None:
    published = Published("one")
    keys, clock = keys_from(published)
    await keys.find(ORIGIN, "one")
    published.gate = asyncio.Event()
    published.keys = {"two": ONE}
    clock.advance(REFRESH_S)
    assert [await keys.find(ORIGIN, "one") for _ in range(3)] == [ONE] * 3
    await settle()
    assert published.fetches == 2
    published.gate.set()
    await settle()
    assert await keys.find(ORIGIN, "two") == ONE
    assert published.fetches == 2


async def test_a_hundred_first_callers_cause_one_fetch() -> None:
    published = Published("one")
    keys, _ = keys_from(published)
    found = await asyncio.gather(*(keys.find(ORIGIN, "one") for _ in range(100)))
    assert found == [ONE] * 100
    assert published.fetches == 1


async def test_a_cancelled_caller_does_not_cancel_the_fetch_of_the_others() -> None:
    published = Published("one")
    published.gate = asyncio.Event()
    keys, _ = keys_from(published)
    first, second = (asyncio.ensure_future(keys.find(ORIGIN, "one")) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    published.gate.set()
    assert await second == ONE
    assert published.fetches == 1


async def test_a_new_key_is_found_at_once() -> None:
    published = Published("one")
    keys, clock = keys_from(published)
    await keys.find(ORIGIN, "one")
    published.keys = {"one": ONE, "two": ONE}
    clock.advance(1)
    assert await keys.find(ORIGIN, "two") == ONE
    assert published.fetches == 2


@pytest.mark.parametrize("warm", [True, False])
async def test_ten_thousand_unknown_keys_cause_one_fetch_in_five_minutes(warm: bool) -> None:  # noqa: FBT001 - a table
    published = Published("one")
    keys, clock = keys_from(published)
    if warm:
        await keys.find(ORIGIN, "one")
    before = published.fetches
    for number in range(10_000):
        assert await keys.find(ORIGIN, f"unknown {number}") is None
        clock.advance(UNKNOWN_S / 10_001)
    assert published.fetches == before + 1
    clock.advance(UNKNOWN_S / 10_000)
    assert await keys.find(ORIGIN, "unknown") is None
    assert published.fetches == before + 2


async def test_many_unknown_keys_at_once_cause_one_fetch() -> None:
    published = Published("one")
    keys, _ = keys_from(published)
    await keys.find(ORIGIN, "one")
    published.keys = {"one": ONE, "two": ONE}
    names = ["two" if number % 2 else f"unknown {number}" for number in range(100)]
    found = await asyncio.gather(*(keys.find(ORIGIN, name) for name in names))
    assert found == [ONE if name == "two" else None for name in names]
    assert published.fetches == 2


async def test_an_issuer_that_is_down_at_first_is_nobodys_fault_and_left_alone_for_a_while() -> None:
    published = Published("one")
    published.down = True
    keys, clock = keys_from(published)
    for _ in range(10):
        with pytest.raises(Unavailable) as caught:
            await keys.find(ORIGIN, "one")
        assert 0 < caught.value.delay_s <= RETRY_S
    assert published.fetches == 1
    published.down = False
    clock.advance(RETRY_S)
    assert await keys.find(ORIGIN, "one") == ONE


async def test_the_last_good_keys_count_through_an_outage_of_a_day() -> None:
    published = Published("one")
    keys, clock = keys_from(published)
    await keys.find(ORIGIN, "one")
    published.down = True
    for _ in range(23):
        clock.advance(REFRESH_S)
        assert await keys.find(ORIGIN, "one") == ONE
        await settle()
    assert published.fetches == 24
    clock.advance(KEPT_S)
    with pytest.raises(Unavailable):
        await keys.find(ORIGIN, "one")


async def test_an_unknown_key_in_an_outage_may_be_a_good_one() -> None:
    published = Published("one")
    keys, clock = keys_from(published)
    await keys.find(ORIGIN, "one")
    published.down = True
    for _ in range(10):
        with pytest.raises(Unavailable) as caught:
            await keys.find(ORIGIN, "two")
        assert caught.value.delay_s in (RETRY_S, UNKNOWN_S)
    assert published.fetches == 2
    assert await keys.find(ORIGIN, "one") == ONE
    published.down, published.keys = False, {"two": ONE}
    clock.advance(UNKNOWN_S)
    assert await keys.find(ORIGIN, "two") == ONE


async def test_a_retired_key_is_rejected_after_the_next_fetch() -> None:
    published = Published("one")
    keys, clock = keys_from(published)
    await keys.find(ORIGIN, "one")
    published.keys = {"two": ONE}
    clock.advance(REFRESH_S)
    await keys.find(ORIGIN, "one")
    await settle()
    assert await keys.find(ORIGIN, "one") is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["one", "two", "three"]), st.booleans())))
async def test_any_sequence_of_events_causes_few_fetches_and_correct_answers(
    steps: list[tuple[int, str, bool]],
) -> None:
    """Each step: seconds pass, a key is asked for, and the issuer is up or down."""
    published = Published("one", "two")
    keys, clock = keys_from(published)
    start = clock.now()
    for seconds, name, up in steps:
        clock.advance(seconds)
        published.down = not up
        try:
            found = await keys.find(ORIGIN, name)
        except Unavailable:
            continue
        assert (found is None) == (name == "three")
        await settle()
    elapsed = clock.now() - start
    assert published.fetches <= 2 + elapsed / RETRY_S


def signed(key: RSAPrivateKey = KEY, kid: str = "one", claims: Mapping[str, Any] = USER, **headers: Any) -> str:
    return jwt.encode(dict(claims), key, algorithm="RS256", headers={"kid": kid, **headers})


def authenticator(issuer: FakeIssuer, clock: FakeClock) -> TokenAuthenticator:
    return TokenAuthenticator(keys=JwksCache(IssuerDiscovery(issuer.url).keys, clock), expected=EXPECTED, clock=clock)


async def test_tokens_of_a_real_issuer_are_accepted_through_key_rotation_and_outage() -> None:
    clock = FakeClock()
    async with issuing(FakeIssuer()) as issuer:
        judge = authenticator(issuer, clock)
        assert await judge.authenticate(signed()) == OWNER
        assert issuer.asked == {"discovery": 1, "keys": 1}
        issuer.keys = [public(ANOTHER, kid="two")]
        assert await judge.authenticate(signed(ANOTHER, "two")) == OWNER
        with pytest.raises(Unauthenticated):
            await judge.authenticate(signed())
        issuer.broken = 500
        clock.advance(UNKNOWN_S)
        assert await judge.authenticate(signed(ANOTHER, "two")) == OWNER
        with pytest.raises(Unavailable):
            await judge.authenticate(signed(KEY, "three"))
        assert await judge.authenticate(signed(ANOTHER, "two")) == OWNER


async def test_each_version_has_its_own_keys() -> None:
    async with issuing(FakeIssuer()) as issuer:
        judge = authenticator(issuer, FakeClock())
        assert await judge.authenticate(signed(claims=OLD_USER)) == OWNER
        assert await judge.authenticate(signed()) == OWNER
        assert issuer.asked == {"discovery": 2, "keys": 2}


UNTRUSTED = {
    "another tenant": {"tid": OTHER, "iss": USER["iss"].replace(TENANT, OTHER)},
    "an issuer of an attacker": {"iss": "https://evil.example"},
    "another version": {"ver": "3.0"},
}


@pytest.mark.parametrize("changes", UNTRUSTED.values(), ids=UNTRUSTED)
async def test_no_keys_are_fetched_for_an_unknown_issuer(changes: dict[str, Any]) -> None:
    async with issuing(FakeIssuer()) as issuer:
        with pytest.raises(Unauthenticated):
            await authenticator(issuer, FakeClock()).authenticate(signed(claims={**USER, **changes}, jku=issuer.url))
        assert not issuer.asked


async def test_known_keys_are_accepted_while_the_issuer_is_down() -> None:
    async with issuing(FakeIssuer(broken=503)) as issuer:
        with pytest.raises(Unavailable) as caught:
            await authenticator(issuer, FakeClock()).authenticate(signed())
    assert caught.value.delay_s >= 1


def test_entras_own_form_of_a_key_is_usable() -> None:
    shown = public(KEY, x5t="one", x5c=["MII"], issuer="https://login.microsoftonline.com/{tenantid}/v2.0")
    assert list(usable_keys({"keys": [shown]}, ORIGIN)) == ["one"]
