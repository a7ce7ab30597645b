"""Which images of a tool's result are kept, and which of them does a model see?

They are kept beside the text of the result. A model without vision, and one that has newer images to look at, reads
that they are there.
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterable, Sequence
from copy import replace
from typing import Final

from domain.content.items import SERVER_CALLS, ImageInput, Item

MOST_IMAGES: Final = 4
MOST_CHARACTERS: Final = 600_000
"""What one result may have: images, and characters of their data URLs together, some 440 KiB of image files."""

MOST_SHOWN: Final = 8
"""A model sees so many images of results at most: the newest ones."""

DATA_URL: Final = re.compile(r"data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/]+={0,2})")
SIGNATURES: Final[tuple[tuple[bytes, int, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", 0, "png"),
    (b"\xff\xd8\xff", 0, "jpeg"),
    (b"GIF8", 0, "gif"),
    (b"WEBP", 8, "webp"),
)
"""The first bytes of the types that models take, and where they stand."""

NOT_SHOWN: Final = "[The images of this result are not shown.]"


def taken_images(urls: Iterable[str]) -> tuple[str, ...]:
    """Return the images that are kept: of a type that models read, the first ones that have room together.

    A backend refuses a whole request for one image that is not what it says.
    """
    taken: list[str] = []
    room = MOST_CHARACTERS
    for url in urls:
        if len(taken) < MOST_IMAGES and len(url) <= room and is_image(url):
            taken.append(url)
            room -= len(url)
    return tuple(taken)


def is_image(url: str) -> bool:
    """Tell whether a data URL begins like an image of the type that it names."""
    found = DATA_URL.fullmatch(url)
    try:
        return found is not None and image_type(b64decode(found[2], validate=True)) == found[1]
    except Error:
        return False


def image_type(data: bytes) -> str | None:
    """Return the type of an image from its first bytes; None for any that models do not take."""
    return next((kind for sign, start, kind in SIGNATURES if data[start : start + len(sign)] == sign), None)


def as_images(urls: Sequence[str]) -> tuple[ImageInput, ...]:
    return tuple(ImageInput(url=url) for url in urls)


def with_shown_images(items: Sequence[Item], *, sees: bool) -> tuple[Item, ...]:
    """Return the items with those images of results that a model is shown."""
    left = MOST_SHOWN if sees else 0
    shown: list[Item] = []
    for item in reversed(items):
        if item.kind in SERVER_CALLS and item.images:
            is_shown = len(item.images) <= left
            left -= len(item.images) if is_shown else 0
            shown.append(item if is_shown else without_images(item))
        else:
            shown.append(item)
    return tuple(reversed(shown))


def without_images(item: Item) -> Item:
    return replace(item, images=(), output=f"{item.output or ''}\n{NOT_SHOWN}")


def asked_images(items: Iterable[Item]) -> int:
    """Count the images that a model has to see: all but those of results."""
    return sum(len(item.images) for item in items if item.kind not in SERVER_CALLS)
