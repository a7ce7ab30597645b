"""How does a backend get the images of a call?

Its `images` setting decides about an image that the caller named by an address. Stored turns may hold addresses from
before the rules; a backend gets none that is not allowed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from copy import replace
from typing import Final, Protocol

from clients.backends.port import BackendCall, BackendError
from domain.content.items import ImageInput, Item
from domain.errors import GanglionError
from domain.fleet.catalog import Backend, ImageMode
from domain.fleet.failure_classes import Failure, FailureKind
from domain.sources.image_addresses import address_problem

NOT_SHOWN: Final = "[an image that is not shown, because this model takes no addresses]"
"""What a model reads in place of an earlier image that its backend does not take."""

MOST_LOADED_BYTES: Final = 16_777_216
"""The characters of all images that are loaded for one call, as data URLs."""


class ImageError(GanglionError):
    """An image cannot be loaded. The message is safe to show to callers: it contains nothing of the answer."""


class ImageLoader(Protocol):
    """Loads images that callers name."""

    async def load(self, url: str) -> str:
        """Return the image as a data URL. Raises ImageError."""
        ...


class NoImages:
    """Loads nothing."""

    async def load(self, url: str) -> str:  # noqa: ARG002 - the port's argument
        raise ImageError("images are not loaded here")


async def with_images(call: BackendCall, backend: Backend, loader: ImageLoader) -> BackendCall:
    """Return the call with the images that the backend takes. Raises BackendError where one cannot be loaded."""
    addresses = dict.fromkeys(image.url for item in call.items for image in item.images if not image.is_data)
    if not addresses:
        return call
    taken = await images_taken(list(addresses), backend.images, loader)
    return replace(call, items=[shown(item, taken) for item in call.items])


async def images_taken(addresses: Sequence[str], mode: ImageMode, loader: ImageLoader) -> Mapping[str, str]:
    """Return what is sent for each address; nothing for one that is not shown."""
    match mode:
        case ImageMode.DATA:
            return {}
        case ImageMode.ADDRESS:
            return {address: address for address in addresses if address_problem(address) is None}
        case ImageMode.FETCH:
            return await loaded(addresses, loader)


async def loaded(addresses: Sequence[str], loader: ImageLoader) -> Mapping[str, str]:
    """Return the images as data URLs. Raises BackendError."""
    try:
        found = await asyncio.gather(*(loader.load(address) for address in addresses))
    except ImageError as error:
        raise BackendError(Failure(kind=FailureKind.IMAGE, body=str(error))) from error
    if sum(map(len, found)) > MOST_LOADED_BYTES:
        raise BackendError(Failure(kind=FailureKind.IMAGE, body="the images are too large together"))
    return dict(zip(addresses, found, strict=True))


def shown(item: Item, taken: Mapping[str, str]) -> Item:
    """Return an item whose addresses are replaced by what was taken for them, or by a note."""
    if all(image.is_data for image in item.images):
        return item
    text = ""
    images: list[ImageInput] = []
    for part in item.parts():
        if isinstance(part, str):
            text += part
        elif part.is_data or part.url in taken:
            images.append(replace(part, url=taken.get(part.url, part.url), at=len(text)))
        else:
            text += NOT_SHOWN
    return replace(item, text=text, images=tuple(images))
