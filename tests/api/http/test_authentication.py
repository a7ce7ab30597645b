"""Is a caller authenticated by the token, and by platform headers only behind the platform?"""

import logging

import pytest
from starlette.requests import Request

from api.http.authentication import owner_of
from domain.errors import Forbidden, GanglionError, Unauthenticated
from domain.identity.owners import Owner
from tests.fakes.worlds import OWNER

BY_PLATFORM = Owner(tenant=OWNER.tenant, subject="user:platform")


class FakeAuthenticator:
    """Accepts one token and one principal; everything else raises `error`."""

    def __init__(self, *, behind_platform: bool, error: GanglionError | None = None) -> None:
        self.behind_platform = behind_platform
        self.error = error or Unauthenticated("The access token has expired.")

    async def authenticate(self, token: str) -> Owner:
        if token != "mine":
            raise self.error
        return OWNER

    def owner_of_principal(self, principal: str) -> Owner:
        if principal != "me":
            raise self.error
        return BY_PLATFORM


def request(*headers: tuple[str, str]) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "headers": raw})


TOKEN = ("authorization", "Bearer mine")
PRINCIPAL = ("x-ms-client-principal", "me")
ID = ("x-ms-client-principal-id", "me")
FORGED = ("x-ms-client-principal", "somebody")

ACCEPTED = {
    "a token": (False, [TOKEN], OWNER),
    "a token, the platform's header ignored": (False, [TOKEN, PRINCIPAL], OWNER),
    "the platform": (True, [PRINCIPAL], BY_PLATFORM),
    "the platform, whatever the token": (True, [PRINCIPAL, ("authorization", "Bearer other")], BY_PLATFORM),
    "a token without platform headers": (True, [TOKEN], OWNER),
    "a token in another spelling": (False, [("authorization", "bearer  mine ")], OWNER),
}


@pytest.mark.parametrize(("platform", "headers", "owner"), ACCEPTED.values(), ids=ACCEPTED)
async def test_a_valid_caller_is_authenticated(platform: bool, headers: list[tuple[str, str]], owner: Owner) -> None:  # noqa: FBT001 - a table
    assert await owner_of(request(*headers), FakeAuthenticator(behind_platform=platform)) == owner


REJECTED: dict[str, tuple[bool, list[tuple[str, str]]]] = {
    "nothing": (False, []),
    "the platform's header without the platform": (False, [PRINCIPAL]),
    "the platform's other headers": (False, [ID]),
    "an id from the platform without its principal": (True, [ID]),
    "two principals": (True, [PRINCIPAL, PRINCIPAL]),
    "an invalid principal and a valid token": (True, [FORGED, TOKEN]),
    "two tokens": (False, [TOKEN, TOKEN]),
    "a password": (False, [("authorization", "Basic bWU6bWU=")]),
    "no token": (False, [("authorization", "Bearer ")]),
    "two words": (False, [("authorization", "Bearer mine mine")]),
}


@pytest.mark.parametrize(("platform", "headers"), REJECTED.values(), ids=REJECTED)
async def test_an_invalid_caller_is_rejected(platform: bool, headers: list[tuple[str, str]]) -> None:  # noqa: FBT001 - a table
    with pytest.raises(Unauthenticated):
        await owner_of(request(*headers), FakeAuthenticator(behind_platform=platform))


@pytest.mark.parametrize("error", [Unauthenticated("It has expired."), Forbidden("It lacks the scope.")])
async def test_the_reason_of_a_rejection_is_logged_and_the_token_is_not(
    error: GanglionError, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(type(error)):
        await owner_of(
            request(("authorization", "Bearer s3cret")), FakeAuthenticator(behind_platform=False, error=error)
        )
    assert str(error) in caplog.text
    assert "s3cret" not in caplog.text
