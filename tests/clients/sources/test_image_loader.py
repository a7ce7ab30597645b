"""Are images loaded from public hosts only, within limits of size and type?"""

import base64
from collections.abc import Sequence

import httpx
import pytest

from clients.backends.images import ImageError
from clients.sources.egress import PinnedClient
from clients.sources.image_loader import MOST_BYTES, PublicImages

URL = "https://example.com/cat.png?size=2"
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
IMAGES = {
    "png": PNG,
    "jpeg": b"\xff\xd8\xff\xe0 pixels",
    "gif": b"GIF89a pixels",
    "webp": b"RIFF\x00\x00\x00\x00WEBP pixels",
}


def loader(answer: httpx.Response, *, addresses: Sequence[str] = ("93.184.215.14",)) -> PublicImages:
    """Return a loader for which every host has these addresses and gives this answer."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    def respond(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "93.184.215.14"
        assert request.headers["host"] == "example.com"
        assert request.url.query == b"size=2"
        return answer

    http = httpx.AsyncClient(transport=httpx.MockTransport(respond))
    return PublicImages(PinnedClient(http, loopback=False, resolve=resolve))


@pytest.mark.parametrize(("kind", "data"), IMAGES.items(), ids=IMAGES)
async def test_an_image_becomes_a_data_url_of_its_own_type(kind: str, data: bytes) -> None:
    answer = httpx.Response(200, stream=httpx.ByteStream(data), headers={"content-type": "text/html"})
    expected = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    assert await loader(answer).load(URL) == expected


REJECTED = {
    "another type": (httpx.Response(200, stream=httpx.ByteStream(b"<svg/>")), "not a PNG"),
    "nothing": (httpx.Response(200, stream=httpx.ByteStream(b"")), "not a PNG"),
    "too large": (httpx.Response(200, stream=httpx.ByteStream(PNG + bytes(MOST_BYTES))), "more than"),
    "a redirect": (httpx.Response(302, headers={"location": "http://169.254.169.254/"}), "status 302"),
    "not found": (httpx.Response(404, content=PNG), "status 404"),
    "compressed": (httpx.Response(200, content=b"x", headers={"content-encoding": "br"}), "compressed"),
}


@pytest.mark.parametrize(("answer", "message"), REJECTED.values(), ids=REJECTED)
async def test_another_answer_is_no_image(answer: httpx.Response, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        await loader(answer).load(URL)


@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1", "127.0.0.1", "::ffff:10.0.0.1", "fec0::1"])
async def test_a_name_that_resolves_to_a_private_address_is_rejected(address: str) -> None:
    with pytest.raises(ImageError, match="not allowed"):
        await loader(httpx.Response(200, content=PNG), addresses=["93.184.215.14", address]).load(URL)


async def test_an_address_that_is_not_allowed_is_not_even_resolved() -> None:
    with pytest.raises(ImageError, match="the address of an image is not allowed"):
        await loader(httpx.Response(200, content=PNG)).load("https://169.254.169.254/")
