"""How are images loaded that a caller names by an address?

Only from public hosts: the name is resolved once, every address is checked, and the connection goes to a checked one.
Redirects are not followed. The type is read from the image itself.
"""

import asyncio
import base64
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from clients.backends.images import ImageError
from clients.sources.egress import PinnedClient
from clients.sources.port import SourceError
from domain.content.result_images import image_type
from domain.sources.catalog import Source, SourceKind
from domain.sources.image_addresses import address_problem

MOST_BYTES: Final = 8_388_608
DEADLINE_S: Final = 10.0
"""For the name, the connection and the whole image."""

ACCEPTED: Final[Mapping[str, str]] = {"accept": "image/png, image/jpeg, image/gif, image/webp"}


class PublicImages:
    """Loads images from public hosts."""

    def __init__(self, client: PinnedClient) -> None:
        self.client = client

    async def load(self, url: str) -> str:
        """Return the image as a data URL. Raises ImageError."""
        problem = address_problem(url)
        if problem:
            raise ImageError(f"the address of an image is not allowed: {problem}")
        parts = urlsplit(url)
        source = Source(
            name="image", kind=SourceKind.HTTP, address=f"https://{parts.netloc}", private=False, deadline_s=DEADLINE_S
        )
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        try:
            async with asyncio.timeout(DEADLINE_S):
                data = await self.client.call(source, "GET", path, headers=ACCEPTED, most=MOST_BYTES)
        except TimeoutError:
            raise ImageError(f"an image did not arrive within {DEADLINE_S:.0f} s") from None
        except SourceError as error:
            raise ImageError(f"an image cannot be loaded: {error}") from None
        return data_url(data)


def data_url(data: bytes) -> str:
    """Return an image as a data URL. Raises ImageError where it is of no type that models take."""
    kind = image_type(data)
    if kind is None:
        raise ImageError("an image is not a PNG, JPEG, GIF or WebP")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
