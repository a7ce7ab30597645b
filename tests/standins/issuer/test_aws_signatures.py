"""Does the stand-in for AWS accept what botocore signs, and nothing that was changed afterwards?"""

from collections.abc import Callable
from copy import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from standins.clock import now
from standins.issuer.aws_keys import issued_credentials
from standins.issuer.aws_signatures import InvalidSignature, Scope, SignedRequest, canonical_request, verify_headers

SCOPE = Scope(service="bedrock", region="us-east-1")
HOST = "bedrock-runtime.us-east-1.amazonaws.com"
EXAMPLE = """GET
/

Param1=value1&Param2=value2
host:example.amazonaws.com
x-amz-date:20150830T123600Z

host;x-amz-date
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"""


def signed(target: str = "/model/a%3Ab/converse?x=1&x=%20", *, life_s: int = 900, **more: Any) -> SignedRequest:
    """Return a request that botocore signs with keys of the stand-in."""
    keys = issued_credentials(int(now()) + life_s)
    credentials: Any = Credentials(keys.access_key, keys.secret_key, keys.session_token)
    request: Any = AWSRequest(
        method="POST", url=f"https://{HOST}{target}", data=b'{"a": 1}', headers={"content-type": "application/json"}
    )
    auth: Any = SigV4Auth(credentials, more.get("service", "bedrock"), more.get("region", "us-east-1"))
    auth.add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return SignedRequest(method="POST", target=target, headers={**headers, "host": HOST}, body=b'{"a": 1}')


def changed(request: SignedRequest, **headers: str) -> SignedRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SignedRequest(
        method=request.method, target=request.target, headers={**request.headers, **named}, body=request.body
    )


@pytest.mark.parametrize("target", ["/", "/model/a%3Ab/converse", "/a?b=c&a=d", "/a?flag=&x=%2F%20~", "/a?x=2&x=1"])
def test_what_botocore_signs_is_accepted(target: str) -> None:
    verify_headers(signed(target), SCOPE, now())


def test_the_canonical_form_is_that_of_awss_own_test_suite() -> None:
    """The case get-vanilla-query-order-key-case of https://github.com/awslabs/aws-c-auth (aws-signing-test-suite)."""
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}
    empty = EXAMPLE.rpartition("\n")[2]
    found = canonical_request("GET", "/", [("Param2", "value2"), ("Param1", "value1")], headers, empty)
    assert found == EXAMPLE.replace("/\n\nParam1", "/\nParam1")


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda: changed(signed(), authorization="Bearer x"), "MissingAuthenticationTokenException"),
        (lambda: changed(signed(), host="elsewhere.amazonaws.com"), "InvalidSignatureException"),
        (lambda: replace(signed("/"), method="GET"), "InvalidSignatureException"),
        (lambda: replace(signed("/"), body=b"{}"), "InvalidSignatureException"),
        (lambda: replace(signed("/"), target="/b"), "InvalidSignatureException"),
        (lambda: signed(region="eu-west-1"), "InvalidSignatureException"),
        (lambda: signed(service="sagemaker"), "InvalidSignatureException"),
        (lambda: signed(life_s=-1), "ExpiredTokenException"),
        (lambda: changed(signed(), x_amz_security_token="ASIA0/1+x"), "UnrecognizedClientException"),
    ],
)
def test_what_was_changed_or_is_for_another_is_refused_by_awss_name(
    ask: Callable[[], SignedRequest], error: str
) -> None:
    """Each request is signed as the test runs: a signature is valid for five minutes."""
    with pytest.raises(InvalidSignature, match=error):
        verify_headers(ask(), SCOPE, now())


@pytest.mark.parametrize("away_s", [-301, 301])
def test_a_signature_of_another_time_is_refused(away_s: int) -> None:
    request = signed()
    signed_at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    verify_headers(request, SCOPE, signed_at + away_s * 299 / 301)
    with pytest.raises(InvalidSignature, match="ExpiredTokenException"):
        verify_headers(request, SCOPE, signed_at + away_s)


def test_the_token_has_to_be_signed() -> None:
    request = signed()
    authorization = request.headers["authorization"].replace(";x-amz-security-token", "")
    with pytest.raises(InvalidSignature, match="IncompleteSignatureException"):
        verify_headers(changed(request, authorization=authorization), SCOPE, now())
