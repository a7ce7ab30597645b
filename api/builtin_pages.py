"""Who answers a request that the worker's web server knows by itself? Nobody but our functions.

FastAPI, on which the worker serves HTTP, has pages of its own (/docs, /redoc) and a document of its own at
/openapi.json, which stand in front of every function.
"""

from azurefunctions.extensions.http.fastapi import WebApp

usual = WebApp.__init__


def bare(self: WebApp) -> None:
    usual(self)
    self.web_app = type(self.web_app)(openapi_url=None, docs_url=None, redoc_url=None)


def remove_builtin_pages() -> None:
    """Make the worker build a web server without pages; to be called when the app is indexed, before it serves."""
    WebApp.__init__ = bare
