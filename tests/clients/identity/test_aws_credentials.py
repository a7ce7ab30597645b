"""For which role and region are credentials of AWS fetched, and when is a key of a service made again?"""

from base64 import b64decode
from copy import replace
from typing import override

from clients.backends.credentials import HttpCall
from clients.identity.aws import RoleCredentials
from clients.identity.aws_credentials import AwsCredentials
from clients.identity.token_cache import YOUNG_S
from domain.fleet.catalog import Auth, AuthKind
from domain.identity.federation import AwsFederation
from tests.fakes.clocks import FakeClock

OUR_ROLE, OTHER_ROLE = "arn:aws:iam::123456789012:role/ours", "arn:aws:iam::123456789012:role/other"
BEDROCK = Auth(kind=AuthKind.AWS_KEY, service="bedrock", region="us-east-1")
LAMBDA = Auth(kind=AuthKind.AWS_SIGV4, service="lambda", region="us-east-1")
LIFE_S = 3600.0
CALL = HttpCall(method="POST", url="https://aws.example/v1/x", body=b"{}")


class IssuedCredentials(AwsCredentials):
    """Issues credentials without a network; `fetched` has the role and the region of each."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(AwsFederation(role=OUR_ROLE), clock, client_id=None)
        self.fetched: list[tuple[str, str]] = []

    @override
    def fetch(self, role: str, region: str) -> RoleCredentials:
        self.fetched.append((role, region))
        number = len(self.fetched)
        return RoleCredentials(
            access_key=f"ASIA{number}", secret_key="s", token=f"t{number}", expires_at=self.clock.now() + LIFE_S
        )

    async def key_of(self, auth: Auth) -> str:
        """Return the presigned address in a key."""
        header = (await self.header(auth, CALL))["authorization"]
        return b64decode(header.partition("-api-key-")[2]).decode()


async def test_the_role_of_the_app_is_assumed_where_a_backend_names_none() -> None:
    credentials = IssuedCredentials(FakeClock())
    for auth in (BEDROCK, replace(BEDROCK, role=OUR_ROLE), LAMBDA):
        await credentials.header(auth, CALL)
    await credentials.header(replace(BEDROCK, role=OTHER_ROLE), CALL)
    await credentials.header(replace(BEDROCK, region="eu-west-1"), CALL)
    assert credentials.fetched == [(OUR_ROLE, "us-east-1"), (OTHER_ROLE, "us-east-1"), (OUR_ROLE, "eu-west-1")]


async def test_a_key_names_its_service_and_region_and_is_made_once() -> None:
    credentials = IssuedCredentials(FakeClock())
    bedrock, sagemaker = await credentials.key_of(BEDROCK), await credentials.key_of(replace(BEDROCK, service="s3"))
    assert bedrock.startswith("bedrock.amazonaws.com/?Action=CallWithBearerToken")
    assert "%2Fus-east-1%2Fbedrock%2Faws4_request" in bedrock
    assert "%2Fus-east-1%2Fs3%2Faws4_request" in sagemaker
    assert await credentials.key_of(BEDROCK) == bedrock
    assert len(credentials.keys) == 2


async def test_a_key_of_another_role_is_another_key() -> None:
    credentials = IssuedCredentials(FakeClock())
    assert "ASIA1" in await credentials.key_of(BEDROCK)
    assert "ASIA2" in await credentials.key_of(replace(BEDROCK, role=OTHER_ROLE))
    assert "ASIA1" in await credentials.key_of(BEDROCK)


async def test_renewed_credentials_make_a_new_key() -> None:
    clock = FakeClock()
    credentials = IssuedCredentials(clock)
    assert "ASIA1" in await credentials.key_of(BEDROCK)
    clock.advance(LIFE_S)
    assert "ASIA2" in await credentials.key_of(BEDROCK)


async def test_a_rejection_drops_the_credentials_of_its_role_and_region_alone() -> None:
    clock = FakeClock()
    credentials = IssuedCredentials(clock)
    other = replace(BEDROCK, role=OTHER_ROLE)
    for auth in (BEDROCK, other):
        await credentials.header(auth, CALL)
    credentials.rejected(BEDROCK)
    assert "ASIA1" in await credentials.key_of(BEDROCK), "credentials so young were not rejected for their age"
    clock.advance(YOUNG_S)
    credentials.rejected(LAMBDA)
    assert "ASIA3" in await credentials.key_of(BEDROCK)
    assert "ASIA2" in await credentials.key_of(other)


async def test_a_signature_covers_the_request_and_carries_the_session_token() -> None:
    credentials = IssuedCredentials(FakeClock())
    headers = await credentials.header(LAMBDA, CALL)
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=ASIA1/")
    assert "/us-east-1/lambda/aws4_request" in headers["authorization"]
    assert headers["x-amz-security-token"] == "t1"
    assert credentials.keys == {}
