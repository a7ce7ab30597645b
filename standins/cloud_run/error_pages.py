"""Which errors does Google's front end answer itself, and in which form?"""

import html
from dataclasses import dataclass

from aiohttp import web

FRONT_END = "Google Frontend"
PAGE = """<html><head>
<meta http-equiv="content-type" content="text/html;charset=utf-8">
<title>{status} {title}</title>
</head>
<body text=#000000 bgcolor=#ffffff>
<h1>Error: {title}</h1>
<h2>{text}</h2>
<h2></h2>
</body></html>
"""
NOT_PERMITTED = "Your client does not have permission to {verb} URL <code>{path}</code>{end}."
TRY_AGAIN = "The server encountered an error and could not complete your request.<p>Please try again in 30 seconds."


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage:
    status: int
    title: str
    text: str
    challenge: str | None = None


UNAUTHORIZED = ErrorPage(
    status=401,
    title="Unauthorized",
    text=NOT_PERMITTED.format(verb="the requested", path="{path}", end=""),
    challenge='Bearer error="invalid_token" error_description="The access token could not be verified"',
)
FORBIDDEN = ErrorPage(
    status=403,
    title="Forbidden",
    text=NOT_PERMITTED.format(verb="get", path="{path}", end=" from this server"),
)
SERVER_ERROR = ErrorPage(status=500, title="Server Error", text=TRY_AGAIN)
UNAVAILABLE = ErrorPage(status=503, title="Server Error", text=TRY_AGAIN)


def error_response(kind: ErrorPage, path: str) -> web.Response:
    body = PAGE.format(status=kind.status, title=kind.title, text=kind.text.format(path=html.escape(path)))
    headers = {"WWW-Authenticate": kind.challenge} if kind.challenge else {}
    return from_front_end(web.Response(status=kind.status, text=body, content_type="text/html", headers=headers))


def rate_exceeded() -> web.Response:
    return from_front_end(web.Response(status=429, text="Rate exceeded.", content_type="text/plain"))


def timed_out() -> web.Response:
    return from_front_end(web.Response(status=504, text="upstream request timeout", content_type="text/plain"))


def from_front_end[T: web.StreamResponse](response: T) -> T:
    response.headers["Server"] = FRONT_END
    return response
