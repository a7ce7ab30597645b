"""What is the answer to a request that matches no route?"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property

from azurefunctions.extensions.http.fastapi import PlainTextResponse, Request, Response

from api.http.conditional import for_method
from api.http.errors import ErrorResponse, error_answer

HOME = (
    "Ganglion serves the OpenAI Responses API under /v1. "
    "The console is at /console, the description of the API at /openapi.json, the documentation in docs/ of the "
    "source.\n"
)
"""What the address itself answers."""

PATH_LIMIT = 200
"""The characters of a path that an error message repeats."""


class Fallback:
    """Answers unmatched requests: 405 for a known path with another method, 404 for any other path.

    `methods` are the methods of each route, by its template.
    """

    def __init__(self, methods: Mapping[str, Sequence[str]]) -> None:
        self.methods = methods

    @cached_property
    def patterns(self) -> Mapping[re.Pattern[str], Sequence[str]]:
        """The methods by the pattern of their paths; those with the fewest parameters are first."""
        return {path_pattern(each): self.methods[each] for each in sorted(self.methods, key=parameter_count)}

    async def answer(self, req: Request) -> Response:
        path = req.url.path
        if path == "/" and req.method in ("GET", "HEAD"):
            return for_method(req, PlainTextResponse(HOME))
        allowed = self.allowed(path)
        if allowed:
            not_allowed = ErrorResponse(status=405, code="method_not_allowed", headers={"allow": ", ".join(allowed)})
            return error_answer(not_allowed, f"Not allowed to {req.method} on {path[:PATH_LIMIT]}.")
        unknown = ErrorResponse(status=404, code="unknown_url")
        return error_answer(unknown, f"Unknown URL: {req.method} {path[:PATH_LIMIT]}.")

    def allowed(self, path: str) -> list[str]:
        """Return the methods of the matching template with the fewest parameters; none where nothing matches."""
        return sorted(next((each for pattern, each in self.patterns.items() if pattern.fullmatch(path)), ()))


def parameter_count(template: str) -> int:
    return template.count("{")


def path_pattern(template: str) -> re.Pattern[str]:
    """Return the pattern of a template without a catch-all; a parameter matches one segment."""
    segments = ("[^/]+" if segment.startswith("{") else re.escape(segment) for segment in template.split("/"))
    return re.compile("/" + "/".join(segments) + "/?")
