"""What do we say to a request that no function takes?"""

import re
from collections.abc import Mapping, Sequence

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.errors import ErrorResponse, error_answer

SHOWN_LIMIT = 200


class Fallback:
    """Takes what is left over: a known path with another method is 405, any other path 404.

    `methods` are the methods of each route's template.
    """

    def __init__(self, methods: Mapping[str, Sequence[str]]) -> None:
        ordered = sorted(methods, key=parameters)
        self.methods = {path_pattern(template): tuple(methods[template]) for template in ordered}

    async def answer(self, req: Request) -> Response:
        path = req.url.path
        allowed = self.allowed(path)
        if allowed:
            posture = ErrorResponse(status=405, code="method_not_allowed", headers={"allow": ", ".join(allowed)})
            return error_answer(posture, f"Not allowed to {req.method} on {path[:SHOWN_LIMIT]}.")
        posture = ErrorResponse(status=404, code="unknown_url")
        return error_answer(posture, f"Unknown URL: {req.method} {path[:SHOWN_LIMIT]}.")

    def allowed(self, path: str) -> list[str]:
        """Return the methods of the template with the fewest parameters that a path has the form of."""
        return sorted(next((each for pattern, each in self.methods.items() if pattern.fullmatch(path)), ()))


def parameters(template: str) -> int:
    return template.count("{")


def path_pattern(template: str) -> re.Pattern[str]:
    """Return what a template without a catch-all matches; a parameter is one segment."""
    segments = ("[^/]+" if segment.startswith("{") else re.escape(segment) for segment in template.split("/"))
    return re.compile("/" + "/".join(segments) + "/?")
