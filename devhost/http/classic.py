"""How is a request converted for a classic HTTP trigger, and its result to a response?"""

from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from devhost.http.forwarding import BODY_LIMIT, BodyTooLargeError
from devhost.http.slow_clients import timely_chunks
from devhost.supervisor.messages import FunctionRaised, FunctionReturned, InvocationResult

COOKIE_ATTRIBUTES = (("domain", "Domain"), ("path", "Path"), ("max_age", "Max-Age"), ("same_site", "SameSite"))
COOKIE_FLAGS = (("secure", "Secure"), ("http_only", "HttpOnly"))


def join_values(pairs: list[tuple[str, str]]) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: ",".join(found) for name, found in values.items()}


def http_from_request(request: web.Request, parameters: dict[str, str]) -> dict[str, Any]:
    """Drops empty query values, like the real host."""
    return {
        "method": request.method,
        "url": str(request.url),
        "headers": join_values([(name.lower(), value) for name, value in request.headers.items()]),
        "query": join_values([(name, value) for name, value in request.query.items() if value]),
        "params": parameters,
    }


async def read_body(request: web.Request) -> bytes:
    """Like the real host, reads a body only if its length is declared.

    Raises BodyTooLargeError and BodyTooLateError.
    """
    length = request.content_length
    if not length:
        return b""
    if length > BODY_LIMIT:
        raise BodyTooLargeError
    return b"".join([chunk async for chunk in timely_chunks(request)])


def cookie_text(cookie: dict[str, Any]) -> str:
    parts = [f"{cookie['name']}={cookie['value']}"]
    parts += [f"{title}={attribute_text(cookie[key])}" for key, title in COOKIE_ATTRIBUTES if cookie[key] is not None]
    if cookie["expires"] is not None:
        moment = datetime.fromtimestamp(cookie["expires"], UTC)
        parts.append(f"Expires={moment.strftime('%a, %d %b %Y %H:%M:%S GMT')}")
    parts += [title for key, title in COOKIE_FLAGS if cookie[key]]
    return "; ".join(parts)


def attribute_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def response_from_result(result: InvocationResult) -> web.Response:
    """Like the real host, answers an exception with a 500 without a body."""
    if isinstance(result, FunctionRaised):
        return web.Response(status=500)
    if result.type == "http":
        return response_from_http(result)
    return web.Response(status=204) if result.type == "none" else web.Response(text=result.body.decode())


def response_from_http(result: FunctionReturned) -> web.Response:
    headers = CIMultiDict(result.header["headers"])
    headers.popall("Content-Length", None)
    for cookie in result.header["cookies"]:
        headers.add("Set-Cookie", cookie_text(cookie))
    return web.Response(status=result.header["status"], headers=headers, body=result.body)
