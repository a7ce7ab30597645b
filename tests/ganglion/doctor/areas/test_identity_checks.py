"""Does each check of tokens and identities name its fault alone?"""

from collections.abc import Callable

import pytest

from clients.backends.credentials import Hop
from tests.ganglion.doctor.faults import (
    Break,
    check_that_names_alone,
    setting,
)
from tests.ganglion.doctor.harness import NOW, TENANT, Case


def claim(name: str, value: object) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.claims[name] = value

    return inject


def denied(backend: str, hop: Hop) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.outside.denied[backend] = hop

    return inject


def older_token(case: Case) -> None:
    case.claims |= {"ver": "1.0", "iss": f"https://sts.windows.net/{TENANT}/", "appid": case.claims["azp"]}


def no_keys(case: Case) -> None:
    case.outside.publishes_keys = False


FAULTS: dict[str, Break] = {
    "identity.audience": setting("GANGLION_TOKEN_AUDIENCE", "ganglion"),
    "identity.tenants": setting("GANGLION_TOKEN_TENANTS", f"{TENANT},contoso"),
    "identity.issuer": no_keys,
    "identity.token": claim("exp", NOW - 3600),
    "identity.token_version": older_token,
    "identity.permission": claim("scp", "other"),
    "identity.managed": denied("azure-openai", Hop.IDENTITY),
    "identity.google_sts": denied("cloud-run-l4", Hop.STS),
    "identity.google_iam": denied("cloud-run-l4", Hop.IAM),
    "identity.aws_sts": denied("bedrock", Hop.AWS_STS),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_named_by_its_check_alone(case: Case, name: str) -> None:
    assert await check_that_names_alone(case, FAULTS[name]) == name
