"""Are packed bodies unpacked within the limit, and is every other coding a 415?"""

import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.packed_body import PIECE_BYTES, Unpacker, unpacker_for
from domain.errors import Invalid
from tests.api.harness import api

BODY = json.dumps({"model": "auto", "input": "hi"}).encode()


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip in capitals": ("GZIP", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "two members": ("gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
    "deflate": ("deflate", zlib.compress),
    "deflate without a header": ("deflate", raw_deflate),
    "identity": ("identity", bytes),
}
BROKEN: dict[str, tuple[str, bytes]] = {
    "plain bytes called gzip": ("gzip", BODY),
    "plain bytes called deflate": ("deflate", BODY),
    "a gzip body cut off": ("gzip", gzip.compress(BODY)[:-9]),
    "a gzip body with bytes after it": ("gzip", gzip.compress(BODY) + b"more"),
    "a deflate body with bytes after it": ("deflate", zlib.compress(BODY) + b"more"),
    "a gzip body with a wrong checksum": ("gzip", gzip.compress(BODY)[:-8] + bytes(8)),
    "an empty body": ("gzip", b""),
}


@pytest.mark.parametrize(("coding", "pack"), PACKED.values(), ids=PACKED)
async def test_a_packed_body_is_unpacked(coding: str, pack: Callable[[bytes], bytes]) -> None:
    answer = await api().http.post("/v1/responses", content=pack(BODY), headers={"content-encoding": coding})
    assert answer.json()["status"] == "completed"


@pytest.mark.parametrize(("coding", "content"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_packed_body_is_rejected(coding: str, content: bytes) -> None:
    answer = await api().http.post("/v1/responses", content=content, headers={"content-encoding": coding})
    assert answer.status_code == 400
    assert "Content-Encoding" in answer.json()["error"]["message"]


@pytest.mark.parametrize("coding", ["zstd", "br", "gzip, gzip", "gzip, zstd", "\xe9"])
async def test_another_coding_is_a_415_that_lists_the_known_ones(coding: str) -> None:
    one = api()
    headers = {b"content-encoding": coding.encode("latin-1")}
    answer = await one.http.post("/v1/responses", content=BODY, headers=headers)
    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "unsupported_content_encoding"
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    assert await one.stored() == set()


async def test_a_body_that_grows_beyond_the_limit_is_rejected_before_it_is_unpacked() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    answer = await api(input_limit=100_000).http.post(
        "/v1/responses", content=bomb, headers={"content-encoding": "gzip"}
    )
    assert answer.status_code == 413


async def test_a_packed_body_may_come_byte_by_byte() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for byte in gzip.compress(BODY):
            yield bytes([byte])

    answer = await api().http.post("/v1/responses", content=pieces(), headers={"content-encoding": "gzip"})
    assert answer.json()["status"] == "completed"


@given(st.binary(max_size=2000), st.integers(0, 2000), st.integers(1, 50), st.sampled_from(sorted(PACKED)))
def test_never_more_than_the_room_is_unpacked(data: bytes, room: int, size: int, kind: str) -> None:
    coding, pack = PACKED[kind]
    unpacker = unpacker_for(coding)
    if unpacker is None:
        return
    packed, found = pack(data), b""
    for start in range(0, len(packed), size):
        found += unpacker.unpack(packed[start : start + size], room=room - len(found))
        if len(found) > room:
            break
    assert found == data[: room + 1]


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_are_unpacked_or_rejected(data: bytes, coding: str) -> None:
    unpacker = Unpacker(coding)
    with suppress(Invalid):
        assert len(unpacker.unpack(data, room=1000)) <= 1001
        unpacker.check_complete()


@pytest.mark.parametrize("kind", sorted(PACKED))
def test_a_large_body_is_unpacked_in_small_pieces(kind: str) -> None:
    coding, pack = PACKED[kind]
    unpacker = unpacker_for(coding)
    content = bytes(3 * PIECE_BYTES) + b"the end"
    if unpacker is None:
        return
    found = list(unpacker.pieces(pack(content), room=len(content)))
    unpacker.check_complete()
    assert b"".join(found) == content
    assert max(map(len, found)) == PIECE_BYTES
