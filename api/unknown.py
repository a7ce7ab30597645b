"""What do we say to a request that no function takes?"""

import re
from collections.abc import Mapping, Sequence

from azurefunctions.extensions.http.fastapi import Request, Response

from api.errors import Posture, error_answer

SHOWN_LIMIT = 200


class Unknown:
    """Takes what is left over: a known path with another method is 405, any other path 404.

    `methods` are the methods of each route's template.
    """

    def __init__(self, methods: Mapping[str, Sequence[str]]) -> None:
        self.methods = {path_pattern(template): tuple(allowed) for template, allowed in methods.items()}

    async def answer(self, req: Request) -> Response:
        path = req.url.path
        allowed = sorted(
            {method for pattern, each in self.methods.items() if pattern.fullmatch(path) for method in each}
        )
        if allowed:
            posture = Posture(status=405, code="method_not_allowed", headers={"allow": ", ".join(allowed)})
            return error_answer(posture, f"Not allowed to {req.method} on {path[:SHOWN_LIMIT]}.")
        posture = Posture(status=404, code="unknown_url")
        return error_answer(posture, f"Unknown URL: {req.method} {path[:SHOWN_LIMIT]}.")


def path_pattern(template: str) -> re.Pattern[str]:
    """Return what a template without a catch-all matches; a parameter is one segment."""
    segments = ("[^/]+" if segment.startswith("{") else re.escape(segment) for segment in template.split("/"))
    return re.compile("/" + "/".join(segments) + "/?")
