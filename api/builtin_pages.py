"""How are the pages and the telemetry removed that the worker's web framework brings along?

The worker serves HTTP with FastAPI. Its own pages at /docs and /redoc and its document at /openapi.json take precedence
over every function. Its own telemetry shows each request a second time. Its own 404 answers a path with a line break,
which the route of the worker's extension does not match.
"""

from azurefunctions.extensions.http.fastapi import WebApp
from starlette.convertors import PathConvertor

ANY_PATH = "(?s:.*)"
"""The pattern of a rest of a path, line breaks included."""

original_init = WebApp.__init__


def bare_init(self: WebApp) -> None:
    original_init(self)
    self.web_app = type(self.web_app)(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )


def remove_builtin_pages() -> None:
    """Make the worker build a web server without pages and telemetry of its own; call this before it serves."""
    WebApp.__init__ = bare_init
    PathConvertor.regex = ANY_PATH
