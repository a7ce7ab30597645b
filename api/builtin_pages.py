"""How are the pages removed that the worker's web framework serves by itself?

The worker serves HTTP with FastAPI. Its own pages at /docs and /redoc and its document at /openapi.json take precedence
over every function.
"""

from azurefunctions.extensions.http.fastapi import WebApp

original_init = WebApp.__init__


def init_without_pages(self: WebApp) -> None:
    original_init(self)
    self.web_app = type(self.web_app)(openapi_url=None, docs_url=None, redoc_url=None)


def remove_builtin_pages() -> None:
    """Make the worker build a web server without built-in pages; call this before the worker starts to serve."""
    WebApp.__init__ = init_without_pages
