"""Which failure has a call of a backend shown, and what does its body begin with?"""

import asyncio
from contextlib import suppress
from http import HTTPStatus

import httpx

from clients.backends.formats.decoders import StreamError
from clients.plain_answers import is_packed
from domain.fleet.failure_classes import BODY_CHARACTERS, Failure, FailureKind

STALE_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""The errors of AWS for credentials that are expired or badly signed, which it reports with the status 403."""


TRANSPORT_FAILURES: tuple[tuple[type[Exception], FailureKind], ...] = (
    (httpx.ConnectTimeout, FailureKind.CONNECT_TIMEOUT),
    (httpx.ConnectError, FailureKind.REFUSED),
    (httpx.TimeoutException, FailureKind.READ_TIMEOUT),
    (TimeoutError, FailureKind.READ_TIMEOUT),
    (httpx.TransportError, FailureKind.RESET),
)


def stream_failure(error: StreamError, *, text_received: bool) -> Failure:
    """Return the failure for an error inside a body, as if it had come before the body."""
    return Failure(
        kind=FailureKind.STATUS,
        status=error.status,
        headers={"x-amzn-errortype": error.name} if error.name else None,
        body=error.body[:BODY_CHARACTERS].decode(errors="replace"),
        text_received=text_received,
    )


def rejects_credentials(response: httpx.Response) -> bool:
    """Tell whether the backend rejects the credentials themselves, and not what they are allowed to do."""
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        return True
    error = response.headers.get("x-amzn-errortype", "").partition(":")[0].strip()
    return response.status_code == HTTPStatus.FORBIDDEN and error in STALE_CREDENTIALS


async def failure_of(
    response: httpx.Response, wait_s: float, *, kind: FailureKind = FailureKind.STATUS, beginning: str | None = None
) -> Failure:
    """Return what was observed; a success that is no answer is reported as a wrong content type.

    `beginning` is that of the body where it has been read.
    """
    is_no_answer = response.is_success and kind is FailureKind.STATUS and beginning is None
    return Failure(
        kind=FailureKind.WRONG_CONTENT_TYPE if is_no_answer else kind,
        status=response.status_code,
        headers=dict(response.headers),
        body=await body_beginning(response, wait_s) if beginning is None else beginning,
    )


async def body_beginning(response: httpx.Response, wait_s: float) -> str:
    """Return the beginning of a body, or as much of it as arrives within `wait_s` seconds; none of a compressed one."""
    if is_packed(response):
        return f"the answer is compressed ({response.headers['content-encoding']}), although the request forbids it"
    beginning = bytearray()
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(wait_s):
            async for chunk in response.aiter_raw():
                beginning += chunk
                if len(beginning) >= BODY_CHARACTERS:
                    break
    return beginning[:BODY_CHARACTERS].decode(errors="replace")


def transport_failure(error: Exception, *, text_received: bool) -> Failure:
    kind = next((kind for cause, kind in TRANSPORT_FAILURES if isinstance(error, cause)), FailureKind.RESET)
    return Failure(kind=kind, text_received=text_received)
