"""How is an Entra token exchanged for credentials of an AWS role, and how do these sign a request?

botocore computes the signatures. No session or client of it is used, so keys of the environment and profiles are never
read; httpx sends every request. Import this module late: the import is slow.
"""

import logging
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final
from xml.etree import ElementTree as ET

import httpx
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from clients.backends.credentials import Hop, HttpCall, hop_denied, hop_unreachable
from clients.identity.entra import ManagedIdentity
from clients.plain_answers import PLAIN, read_plain_now
from domain.identity.federation import AwsFederation
from domain.values import Discreet

logger = logging.getLogger("ganglion.credentials")

TIMEOUT_S: Final = 8.0
MOST_BYTES: Final = 1_048_576
"""The size of an answer with credentials."""

DURATION_S: Final = 3600
"""How long the credentials are valid: what every role allows unless its maximum is raised."""

SESSION_NAME: Final = "ganglion"
KEY_LIFE_S: Final = 43_200
"""The longest life of a short-term key. The key ends with the credentials that signed it, whichever is sooner."""

NAMESPACE: Final = "{https://sts.amazonaws.com/doc/2011-06-15/}"
RETRIED: Final = frozenset({"IDPCommunicationError"})
"""Errors with the status 400 after which a retry may succeed."""

MALFORMED: Final = (ET.ParseError, ValueError, AttributeError, TypeError)


class RoleCredentials(Discreet, frozen=True, kw_only=True):
    """Temporary credentials of a role, with the names of fields that botocore reads. `expires_at` is in seconds since
    the epoch.
    """

    concealed: ClassVar = ("secret_key", "token")

    access_key: str
    secret_key: str
    token: str
    expires_at: float


class RoleSessions:
    """Assumes roles with the web identity of the app. Each call is a complete exchange; nothing is cached."""

    def __init__(self, federation: AwsFederation, identity: ManagedIdentity) -> None:
        self.federation = federation
        self.identity = identity

    def assume(self, role: str, region: str) -> RoleCredentials:
        """Return credentials of a role. Blocks; raises BackendError. The request is not signed: the token proves it."""
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": role,
            "RoleSessionName": SESSION_NAME,
            "WebIdentityToken": self.identity.token(self.federation.scope or "").token,
            "DurationSeconds": str(DURATION_S),
        }
        with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as http:
            try:
                with http.stream("POST", self.federation.sts_address(region) + "/", data=form, headers=PLAIN) as answer:
                    text = read_plain_now(answer, most=MOST_BYTES).decode(errors="replace")
            except httpx.HTTPError as error:
                raise hop_unreachable(Hop.AWS_STS, "no answer") from error
        if not answer.is_success:
            raise rejection(answer.status_code, text)
        try:
            return credentials_in(text)
        except MALFORMED as error:
            raise hop_unreachable(Hop.AWS_STS, "unusable answer") from error


def rejection(status: int, text: str) -> Exception:
    """Return the failure for an error of STS. Callers never see its message: it can name accounts."""
    code = error_code(text)
    logger.warning("%s answered %d: %s", Hop.AWS_STS, status, code)
    if code in RETRIED:
        return hop_unreachable(Hop.AWS_STS, code)
    return hop_denied(Hop.AWS_STS, status)


def error_code(xml: str) -> str:
    try:
        return parsed(xml).findtext(f"{NAMESPACE}Error/{NAMESPACE}Code") or "no error code"
    except MALFORMED:
        return "no error code"


def credentials_in(xml: str) -> RoleCredentials:
    found = parsed(xml).find(f".//{NAMESPACE}Credentials")
    if found is None:
        raise ValueError("the answer has no credentials")
    texts = {each.tag.removeprefix(NAMESPACE): each.text or "" for each in found}
    if not all(texts.get(name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")):
        raise ValueError("the credentials are incomplete")
    return RoleCredentials(
        access_key=texts["AccessKeyId"],
        secret_key=texts["SecretAccessKey"],
        token=texts["SessionToken"],
        expires_at=datetime.fromisoformat(texts["Expiration"]).timestamp(),
    )


def parsed(xml: str) -> ET.Element:
    return ET.fromstring(xml)  # noqa: S314 - it comes from STS over TLS, and expat limits its entities


def signed_headers(keys: RoleCredentials, call: HttpCall, *, service: str, region: str) -> Mapping[str, str]:
    """Return the headers that sign a request: its method, address, host and body."""
    request: Any = AWSRequest(method=call.method, url=call.url, data=call.body)
    signer: Any = SigV4Auth(keys, service, region)
    signer.add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def short_term_key(keys: RoleCredentials, *, service: str, region: str) -> str:
    """Return a key of a service: a presigned address that its service accepts as a bearer token in that region.

    The form is that of AWS's own generators, aws-bedrock-token-generator 1.1.0 and sagemaker-core 2.27.
    """
    host = f"{service}.amazonaws.com"
    request: Any = AWSRequest(
        method="POST", url=f"https://{host}/", headers={"host": host}, params={"Action": "CallWithBearerToken"}
    )
    signer: Any = SigV4QueryAuth(keys, service, region, expires=KEY_LIFE_S)
    signer.add_auth(request)
    address = f"{request.url.removeprefix('https://')}&Version=1"
    return f"{service}-api-key-{b64encode(address.encode()).decode()}"
