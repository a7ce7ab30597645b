"""Which images does a backend get, by its setting?"""

from copy import replace

import pytest

from clients.backends.images import NOT_SHOWN, ImageError, NoImages, with_images
from clients.backends.port import BackendError
from domain.content.items import ImageInput, Item, Role
from domain.fleet.catalog import ImageMode
from domain.fleet.failure_classes import FailureClass, FailureKind, diagnose
from tests.clients.backends.model_server import backend_at, call

CAT = "https://example.com/cat.png"
METADATA = "https://169.254.169.254/latest"
DATA = "data:image/png;base64,AAAA"
LOADED = "data:image/gif;base64,BBBB"


class Album:
    """Loads one image, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def load(self, url: str) -> str:
        self.asked.append(url)
        if url != CAT:
            raise ImageError("an image cannot be loaded: its host is not allowed")
        return LOADED


def item(*urls: str) -> Item:
    """Return the item `a<image>b<image>c…`."""
    text = "abcdef"[: len(urls) + 1]
    images = tuple(ImageInput(url=url, at=index + 1) for index, url in enumerate(urls))
    return Item(id="1", role=Role.USER, text=text, images=images)


async def parts(mode: ImageMode, *urls: str, album: Album | None = None) -> list[str]:
    request = replace(call(), items=(item(*urls), item(*urls)))
    sent = await with_images(request, replace(backend_at("http://model/v1"), images=mode), album or Album())
    assert sent.items[0] == sent.items[1]
    return [part if isinstance(part, str) else part.url for part in sent.items[0].parts()]


async def test_a_backend_that_takes_data_gets_no_address() -> None:
    assert await parts(ImageMode.DATA, CAT, DATA) == [f"a{NOT_SHOWN}b", DATA, "c"]


async def test_an_image_is_loaded_once_and_sent_as_data() -> None:
    album = Album()
    assert await parts(ImageMode.FETCH, CAT, DATA, CAT, album=album) == ["a", LOADED, "b", DATA, "c", LOADED, "d"]
    assert album.asked == [CAT]


async def test_an_allowed_address_is_passed_on_and_another_is_not() -> None:
    assert await parts(ImageMode.ADDRESS, CAT, METADATA) == ["a", CAT, f"b{NOT_SHOWN}c"]


async def test_an_image_that_cannot_be_loaded_ends_the_turn_and_says_why() -> None:
    with pytest.raises(BackendError) as caught:
        await parts(ImageMode.FETCH, METADATA)
    failure = caught.value.failure
    assert failure.kind is FailureKind.IMAGE
    diagnosis = diagnose(failure, ())
    assert diagnosis.failure_class is FailureClass.CLIENT
    assert "its host is not allowed" in diagnosis.reason


async def test_without_a_loader_nothing_is_loaded() -> None:
    with pytest.raises(ImageError):
        await NoImages().load(CAT)
