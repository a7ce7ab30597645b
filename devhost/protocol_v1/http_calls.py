"""How does the host send the HTTP request of call_http, and when does it poll for the result?

The real host sends it as an internal activity. A 202 response with a Location is polled, with a timer in between.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector
from multidict import CIMultiDict
from yarl import URL

from devhost.early_answers import half_open_socket
from devhost.engine.model.commands import Completed, Failed

HTTP_ACTIVITY = "BuiltIn::HttpActivity"
REQUEST_TIMEOUT_S = 100.0
MAX_POLL_DELAY_S = 2.0**31
ACCEPTED = 202
CLIENT_HEADERS = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
CONTENT_HEADERS = frozenset(
    {
        *("allow", "content-disposition", "content-encoding", "content-language", "content-length"),
        *("content-location", "content-md5", "content-range", "content-type", "expires", "last-modified"),
    }
)
NO_IDENTITY = "call_http with a token source is not supported by this host: it has no managed identity"
NO_MULTIPART = "Multipart content is not supported with CallHttpAsync."

type Wire = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPoll:
    """The next request, and the seconds to wait before it."""

    request: str
    delay_s: float


def headers_of(request: Wire) -> "CIMultiDict[str]":
    headers: Mapping[str, str | list[str]] = request.get("headers") or {}
    pairs = [(name, one) for name, value in headers.items() for one in ([value] if isinstance(value, str) else value)]
    return CIMultiDict(pairs)


def rejection(request: Wire) -> str | None:
    if request.get("tokenSource"):
        return NO_IDENTITY
    return NO_MULTIPART if "multipart" in headers_of(request).get("Content-Type", "") else None


async def run_http(text: str) -> Completed | Failed:
    """Sends the request. Every status is a result; only a request that could not be sent fails."""
    request: Wire = json.loads(text)
    rejected = rejection(request)
    if rejected is not None:
        return Failed(reason=rejected)
    try:
        async with http_session() as session:
            return Completed(output=await send_request(session, request))
    except (ClientError, ValueError, TimeoutError, OSError) as error:
        return Failed(reason=str(error) or f"no response within {REQUEST_TIMEOUT_S:g} s", details=type(error).__name__)


def http_session() -> ClientSession:
    return ClientSession(
        connector=TCPConnector(socket_factory=half_open_socket),
        timeout=ClientTimeout(total=REQUEST_TIMEOUT_S),
        skip_auto_headers=CLIENT_HEADERS,
    )


async def send_request(session: ClientSession, request: Wire) -> str:
    headers, content = headers_of(request), request.get("content")
    if content is None:
        headers.popall("Content-Type", None)
    else:
        headers.setdefault("Content-Type", "text/plain")
    data = None if content is None else str(content).encode()
    url = URL(str(request["uri"]))
    async with session.request(str(request["method"]).upper(), url, headers=headers, data=data) as response:
        return await response_to_json(response)


async def response_to_json(response: ClientResponse) -> str:
    """The JSON that the orchestrator receives: without content headers, repeated headers as a list."""
    names = {name: None for name in response.headers if name.lower() not in CONTENT_HEADERS}
    found = {name: response.headers.getall(name) for name in names}
    headers = {name: values[0] if len(values) == 1 else values for name, values in found.items()}
    content = await response.text(errors="replace")
    return json.dumps({"statusCode": response.status, "headers": headers, "content": content})


def next_poll(request: str, response_text: str | None, default_interval_s: float) -> HttpPoll | None:
    """Returns None if the response is the last one or has no absolute Location."""
    found: Wire = json.loads(response_text) if response_text else {}
    if found.get("statusCode") != ACCEPTED:
        return None
    headers, previous_request = headers_of(found), json.loads(request)
    location, wait = headers.get("Location", ""), headers.get("Retry-After", str(default_interval_s))
    next_request = {
        "method": "GET",
        "uri": location,
        "headers": previous_request.get("headers"),
        "tokenSource": previous_request.get("tokenSource"),
    }
    try:
        wait_s, absolute = float(wait), URL(location).absolute
    except ValueError:
        return None
    return (
        HttpPoll(request=json.dumps(next_request), delay_s=wait_s)
        if absolute and 0.0 <= wait_s <= MAX_POLL_DELAY_S
        else None
    )
