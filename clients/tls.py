"""Which certificate authorities do the clients of the app trust? One TLS context: each takes 25 ms to load them."""

import ssl
from functools import cache

import httpx


@cache
def tls_context() -> ssl.SSLContext:
    """Return the context of all HTTP clients; the environment's certificates are not used."""
    return httpx.create_ssl_context(trust_env=False)
