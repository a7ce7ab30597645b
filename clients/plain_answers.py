"""How is the answer of another service read, so that it takes no more memory than its bound?

A compressed answer of some kilobytes can expand to gigabytes, and httpx expands what it gets. So every request asks for
an answer as it is (`PLAIN`), a compressed one is rejected, and the bytes of the others are counted as they arrive.
"""

from collections.abc import Mapping
from typing import Final

import httpx

PLAIN: Final[Mapping[str, str]] = {"accept-encoding": "identity"}


class PackedAnswerError(httpx.HTTPError):
    """The answer is compressed, although the request did not allow it."""


class LongAnswerError(httpx.HTTPError):
    """The answer is longer than its bound."""


def is_packed(response: httpx.Response) -> bool:
    return response.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}


def check_plain(response: httpx.Response) -> None:
    """Raise PackedAnswerError for a compressed answer."""
    if is_packed(response):
        raise PackedAnswerError("the answer is compressed, which is not supported")


class BoundedBody:
    """Collects a body of at most `most` bytes."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.data = bytearray()

    def add(self, chunk: bytes) -> None:
        self.data += chunk
        if len(self.data) > self.most:
            raise LongAnswerError(f"the answer has more than {self.most} bytes")


async def read_plain(response: httpx.Response, *, most: int) -> bytes:
    """Return the body of a streamed response. Raises PackedAnswerError, LongAnswerError and httpx's own errors."""
    check_plain(response)
    body = BoundedBody(most)
    async for chunk in response.aiter_raw():
        body.add(chunk)
    return bytes(body.data)


def read_plain_now(response: httpx.Response, *, most: int) -> bytes:
    """As `read_plain`, for a client that blocks."""
    check_plain(response)
    body = BoundedBody(most)
    for chunk in response.iter_raw():
        body.add(chunk)
    return bytes(body.data)
