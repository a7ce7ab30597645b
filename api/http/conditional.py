"""Does the caller have the current version of an answer already?

An answer that never changes again has an entity tag (RFC 9110, sections 8.8.3 and 13.1.2). A request with that tag gets
a 304, and a HEAD request the headers alone.
"""

import hashlib

from azurefunctions.extensions.http.fastapi import Request, Response

CACHE = "private, no-cache"
"""The caller may keep the answer, and asks with its tag before it uses it again."""
NOT_MODIFIED = 304


def tag_of(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def conditional(request: Request, answer: Response, tag: str) -> Response:
    """Return an answer with its tag, or a 304 where the request names the tag."""
    answer.headers["etag"] = tag
    answer.headers["cache-control"] = CACHE
    if is_known(request, tag):
        return Response(status_code=NOT_MODIFIED, headers={"etag": tag, "cache-control": CACHE})
    return answer


def is_known(request: Request, tag: str) -> bool:
    """Return whether `If-None-Match` names the tag; a weak tag matches a strong one, as the RFC says."""
    named = ",".join(request.headers.getlist("if-none-match"))
    tags = [each.strip().removeprefix("W/") for each in named.split(",")]
    return tag in tags or "*" in tags


def for_method(request: Request, answer: Response) -> Response:
    """Return the headers alone for a HEAD request."""
    if request.method != "HEAD":
        return answer
    return Response(status_code=answer.status_code, headers=dict(answer.headers))
