"""Is a token renewed early, behind the calls, by one at a time, and its failure shared for a moment?"""

import asyncio
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.backends.credentials import BearerToken, Hop, hop_denied, hop_unreachable
from clients.backends.port import BackendError
from clients.identity.token_cache import EARLY_S, LAST_S, RETRY_S, YOUNG_S, CachedCredential
from tests.checks import at_most, every
from tests.fakes.clocks import FakeClock

LIFE_S = 3600.0


class Issuer:
    """Gives a numbered token each time; waits at the gate or fails when told to."""

    def __init__(self, clock: FakeClock, *, life_s: float = LIFE_S) -> None:
        self.clock = clock
        self.life_s = life_s
        self.fetches = 0
        self.threads: set[int] = set()
        self.failure: BackendError | None = None
        self.asked = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def fetch(self) -> BearerToken:
        self.fetches += 1
        self.threads.add(threading.get_ident())
        self.asked.set()
        assert self.gate.wait(10)
        if self.failure:
            raise self.failure
        return BearerToken(token=f"token {self.fetches}", expires_at=self.clock.now() + self.life_s)


def cached(life_s: float = LIFE_S) -> tuple[CachedCredential, Issuer, FakeClock]:
    clock = FakeClock()
    issuer = Issuer(clock, life_s=life_s)
    return CachedCredential(issuer.fetch, clock), issuer, clock


async def landed(one: CachedCredential) -> None:
    """Return when no renewal is under way."""
    if one.flight.running:
        await asyncio.wait({one.flight.running})


async def test_a_token_is_fetched_once_off_the_event_loop() -> None:
    one, issuer, clock = cached()
    found = await asyncio.gather(*(one.token() for _ in range(100)))
    clock.advance(LIFE_S - EARLY_S - 1)
    assert set(found) == {"token 1", await one.token()}
    assert issuer.fetches == 1
    assert threading.get_ident() not in issuer.threads


async def test_a_token_is_renewed_in_the_background_before_it_expires() -> None:
    one, issuer, clock = cached()
    await one.token()
    issuer.gate.clear()
    clock.advance(LIFE_S - EARLY_S / 2)
    assert [await one.token() for _ in range(10)] == ["token 1"] * 10
    issuer.gate.set()
    await landed(one)
    assert await one.token() == "token 2"
    assert issuer.fetches == 2


async def test_a_token_that_is_about_to_expire_is_waited_for() -> None:
    one, _, clock = cached()
    await one.token()
    clock.advance(LIFE_S - LAST_S)
    assert await one.token() == "token 2"


async def test_a_renewal_that_fails_leaves_the_token_and_is_tried_again_later() -> None:
    one, issuer, clock = cached()
    await one.token()
    issuer.failure = hop_unreachable(Hop.STS, "no answer")
    clock.advance(LIFE_S - EARLY_S / 2)
    for _ in range(10):
        assert await one.token() == "token 1"
        await landed(one)
    assert issuer.fetches == 2
    issuer.failure = None
    clock.advance(RETRY_S)
    await one.token()
    await landed(one)
    assert await one.token() == "token 3"


async def test_a_failure_is_shared_for_a_moment_and_then_tried_again() -> None:
    one, issuer, clock = cached()
    issuer.failure = hop_denied(Hop.IAM, 403)
    failures = await asyncio.gather(*(one.token() for _ in range(50)), return_exceptions=True)
    for _ in range(10):
        with pytest.raises(BackendError, match="credentials_refused"):
            await one.token()
    assert every(isinstance(failure, BackendError) for failure in failures)
    assert issuer.fetches == 1
    issuer.failure = None
    clock.advance(RETRY_S)
    assert await one.token() == "token 2"


async def test_a_cancelled_caller_does_not_cancel_the_fetch_of_the_others() -> None:
    one, issuer, _ = cached()
    issuer.gate.clear()
    first, second = (asyncio.ensure_future(one.token()) for _ in range(2))
    assert await asyncio.to_thread(issuer.asked.wait, 10)
    first.cancel()
    await asyncio.sleep(0)
    issuer.gate.set()
    assert await second == "token 1"


async def test_a_token_that_a_backend_rejects_is_fetched_anew_unless_it_is_young() -> None:
    one, issuer, clock = cached()
    one.rejected()
    await one.token()
    one.rejected()
    assert await one.token() == "token 1"
    clock.advance(YOUNG_S)
    one.rejected()
    assert await one.token() == "token 2"
    assert issuer.fetches == 2


async def test_instances_that_start_together_do_not_renew_together() -> None:
    clock = FakeClock()
    ones = [CachedCredential(Issuer(clock).fetch, clock) for _ in range(20)]
    for one in ones:
        await one.token()
    early = {clock.now() + LIFE_S - one.renew_at for one in ones}
    assert len(early) == 20
    assert EARLY_S / 2 <= min(early) <= max(early) <= EARLY_S


@settings(deadline=None, max_examples=at_most(50))
@given(st.floats(1, 7200), st.lists(st.floats(0, 4000), min_size=1, max_size=20))
async def test_no_expired_token_is_returned(life_s: float, steps: list[float]) -> None:
    one, issuer, clock = cached(life_s)
    for seconds in steps:
        clock.advance(seconds)
        token = await one.token()
        assert one.cached is not None
        assert token in {f"token {issuer.fetches}", f"token {issuer.fetches - 1}", one.cached.token}
        await landed(one)
        assert clock.now() < one.cached.expires_at


@pytest.mark.parametrize("life_s", [1200.0, LIFE_S])
async def test_no_returned_token_expires_within_two_minutes(life_s: float) -> None:
    one, issuer, clock = cached(life_s)
    issuer.gate.set()
    for _ in range(200):
        clock.advance(life_s / 90)
        await one.token()
        await landed(one)
        assert one.cached
        assert clock.now() + 120 <= one.cached.expires_at


def test_a_credential_does_not_appear_in_its_repr() -> None:
    assert "s3cret" not in repr(BearerToken(token="s3cret", expires_at=0.0))
