"""What does the app answer while its settings or files are wrong?

It stays alive, so that its log and its probes work, and it takes no turn.
"""

import logging
from collections.abc import Sequence

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.errors import json_answer, with_error_responses
from api.routes import ANY_METHOD, CATCH_ALL, HttpRoute
from clients.clock import Clock
from domain.errors import Unavailable

logger = logging.getLogger("ganglion.configuration")

MISCONFIGURED = "The service is misconfigured. Its log names the settings to correct."
RETRY_S = 30.0


class Misconfigured:
    """The HTTP functions of an app that cannot be composed. `problems` go to the log, never to a caller."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)

    def log_problems(self) -> None:
        for problem in self.problems:
            logger.error("the app is misconfigured and serves no turn: %s", problem)

    async def alive(self, req: Request) -> Response:  # noqa: ARG002 - every HTTP function takes its request
        """`GET /healthz`: the process is alive."""
        return json_answer({"status": "ok"})

    async def reject(self, req: Request) -> Response:  # noqa: ARG002 - as above
        """Every other request: 503. The reasons are logged again, since the log of the start may be out of reach."""
        self.log_problems()
        raise Unavailable(MISCONFIGURED, delay_s=RETRY_S)


def misconfigured_routes(problems: Sequence[str], clock: Clock) -> tuple[HttpRoute, ...]:
    """Return the two HTTP functions of a misconfigured app, and log its problems."""
    functions = Misconfigured(problems)
    functions.log_problems()
    rows = (
        ("http_healthz", "healthz", ("GET", "HEAD"), functions.alive),
        ("zz_unknown", CATCH_ALL, ANY_METHOD, functions.reject),
    )
    return tuple(
        HttpRoute(
            name=name,
            template=template,
            methods=methods,
            handler=with_error_responses(handler, name=name, clock=clock),
        )
        for name, template, methods, handler in rows
    )
