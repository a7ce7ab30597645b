"""Is a request signed with credentials that the stand-in for AWS issued?

The signature is verified from AWS's description of Signature Version 4, with nothing but hashes: no code is shared with
the signer (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
"""

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

from standins.issuer.aws_keys import secret_of

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_S = 300
UNRESERVED = "-_.~"


class InvalidSignature(Exception):
    """The request is not signed as AWS demands; the text is AWS's name of the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request as it arrived: the target with its encoding, header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a signature is for."""

    service: str
    region: str


def verify_headers(request: SignedRequest, scope: Scope, now: float) -> None:
    """Raise InvalidSignature unless the headers sign the request, now, with credentials that were issued here."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme != ALGORITHM:
        raise InvalidSignature("MissingAuthenticationTokenException")
    fields = dict(part.strip().split("=", 1) for part in rest.split(","))
    names, moment = fields["SignedHeaders"].split(";"), request.headers.get("x-amz-date", "")
    if not {"host", "x-amz-date", "x-amz-security-token"} <= set(names):
        raise InvalidSignature("IncompleteSignatureException")
    check_age(moment, SKEW_S, now)
    token = request.headers.get("x-amz-security-token", "")
    parts = urlsplit(request.target)
    signed = {name: request.headers[name] for name in names}
    body_hash = hashlib.sha256(request.body).hexdigest()
    canonical = canonical_request(
        request.method, parts.path, parse_qsl(parts.query, keep_blank_values=True), signed, body_hash
    )
    check(canonical, fields["Credential"], fields["Signature"], token=token, moment=moment, scope=scope, now=now)


def verify_key(key: str, scope: Scope, now: float) -> None:
    """Raise InvalidSignature unless a short-term key is valid: a presigned address without its scheme, in base64."""
    prefix = f"{scope.service}-api-key-"
    if not key.startswith(prefix):
        raise InvalidSignature("UnrecognizedClientException")
    parts = urlsplit("https://" + b64decode(key.removeprefix(prefix), validate=True).decode())
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    signature, _ = query.pop("X-Amz-Signature", ""), query.pop("Version", "")
    if parts.hostname != f"{scope.service}.amazonaws.com" or query.get("Action") != "CallWithBearerToken":
        raise InvalidSignature("InvalidSignatureException")
    if query.get("X-Amz-SignedHeaders") != "host" or query.get("X-Amz-Algorithm") != ALGORITHM:
        raise InvalidSignature("IncompleteSignatureException")
    moment, token = query.get("X-Amz-Date", ""), query.get("X-Amz-Security-Token", "")
    check_age(moment, int(query.get("X-Amz-Expires", "0")), now)
    empty = hashlib.sha256(b"").hexdigest()
    canonical = canonical_request("POST", parts.path, [*query.items()], {"host": str(parts.hostname)}, empty)
    check(canonical, query.get("X-Amz-Credential", ""), signature, token=token, moment=moment, scope=scope, now=now)


def canonical_request(
    method: str, path: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], body_hash: str
) -> str:
    """Return AWS's canonical form of a request. The path, already encoded, is encoded once more."""
    pairs = sorted((quote(name, safe=UNRESERVED), quote(value, safe=UNRESERVED)) for name, value in query)
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers)]
    return "\n".join(
        [
            method,
            quote(path or "/", safe="/" + UNRESERVED),
            "&".join(f"{name}={value}" for name, value in pairs),
            *lines,
            "",
            ";".join(sorted(headers)),
            body_hash,
        ]
    )


def check(
    canonical: str, credential: str, signature: str, *, token: str, moment: str, scope: Scope, now: float
) -> None:
    access_key, _, place = credential.partition("/")
    expected = f"{moment[:8]}/{scope.region}/{scope.service}/aws4_request"
    if place != expected:
        raise InvalidSignature("InvalidSignatureException")
    known, _, expiry = token.partition("+")[0].partition("/")
    if not known or known != access_key:
        raise InvalidSignature("UnrecognizedClientException")
    if now >= int(expiry):
        raise InvalidSignature("ExpiredTokenException")
    key = f"AWS4{secret_of(token)}".encode()
    for part in (moment[:8], scope.region, scope.service, "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    text = "\n".join([ALGORITHM, moment, place, hashlib.sha256(canonical.encode()).hexdigest()])
    if not hmac.compare_digest(hmac.new(key, text.encode(), "sha256").hexdigest(), signature):
        raise InvalidSignature("InvalidSignatureException")


def check_age(moment: str, life_s: int, now: float) -> None:
    signed_at = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    if not signed_at - SKEW_S <= now <= signed_at + life_s:
        raise InvalidSignature("ExpiredTokenException")
