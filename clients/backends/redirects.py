"""Where does a server that answers 303 keep its answer?

Modal answers 303 after 150 s: the result can be read with GET at another path, as often as needed, and the request is
never sent again (https://modal.com/docs/guide/webhook-timeouts).
"""

from http import HTTPStatus
from typing import Final

import httpx

MOST_HOPS: Final = 20


def result_address(response: httpx.Response) -> httpx.URL | None:
    """Return the address to read next; None where the response is no 303, or names another origin.

    Credentials are never sent to another origin.
    """
    location = response.headers.get("location")
    if response.status_code != HTTPStatus.SEE_OTHER or not location:
        return None
    try:
        address = response.request.url.join(location)
    except httpx.InvalidURL:
        return None
    return address if origin(address) == origin(response.request.url) and not address.userinfo else None


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
