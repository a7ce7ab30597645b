"""How is a body with a content coding unpacked?

Gzip and deflate are unpacked piece by piece, so that a small body can't grow beyond the limit of its route.
"""

import zlib
from collections.abc import Iterator, Mapping

from domain.errors import Invalid

GZIP_BITS = 16 + zlib.MAX_WBITS
FORMATS: Mapping[str, int] = {"gzip": GZIP_BITS, "x-gzip": GZIP_BITS, "deflate": zlib.MAX_WBITS}
"""The window sizes by which zlib knows the formats of the content codings (RFC 9110, section 8.4.1)."""

ACCEPTED = "gzip, deflate"
UNKNOWN_CODING = "unsupported_content_encoding"

HEADER_BYTES = 2
PIECE_BYTES = 262_144
"""The most that is unpacked at once: a few kilobytes may hold a thousand times as much."""


def unpacker_for(codings: str) -> "Unpacker | None":
    """Return what unpacks a body with these codings, None for a plain one; raises Invalid for an unknown coding."""
    coding = codings.strip().lower()
    if coding in ("", "identity"):
        return None
    if coding not in FORMATS:
        message = f"Unsupported header 'Content-Encoding': expected one of {ACCEPTED}, or no header for a plain body."
        raise Invalid(message, code=UNKNOWN_CODING)
    return Unpacker(coding)


class Unpacker:
    """Unpacks one body. A body in gzip may consist of several members."""

    def __init__(self, coding: str) -> None:
        self.coding = coding
        self.head = b""
        self.stream = zlib.decompressobj(FORMATS[coding])

    def unpack(self, data: bytes, *, room: int) -> bytes:
        """Return the next bytes of the body, `room` + 1 where it has more than `room`; raises Invalid."""
        return b"".join(self.pieces(data, room=room))

    def pieces(self, data: bytes, *, room: int) -> Iterator[bytes]:
        """Yield the next bytes like `unpack`, in pieces of at most `PIECE_BYTES`."""
        if len(self.head) < HEADER_BYTES:
            data = self.begin(data)
        left, is_full = room + 1, False
        while (data or is_full) and left > 0:
            if self.stream.eof:
                self.begin_member()
            most = min(left, PIECE_BYTES)
            try:
                piece = self.stream.decompress(data, most)
            except zlib.error:
                raise self.broken() from None
            left, is_full = left - len(piece), len(piece) == most and not self.stream.eof
            data = self.stream.unconsumed_tail or self.stream.unused_data
            if piece:
                yield piece

    def begin(self, data: bytes) -> bytes:
        """Return the body so far when its format is known: some clients send deflate without its zlib header."""
        self.head += data
        if len(self.head) < HEADER_BYTES:
            return b""
        if self.coding == "deflate" and not has_zlib_header(self.head):
            self.stream = zlib.decompressobj(-zlib.MAX_WBITS)
        return self.head

    def begin_member(self) -> None:
        if self.coding == "deflate":
            raise self.broken()
        self.stream = zlib.decompressobj(GZIP_BITS)

    def check_complete(self) -> None:
        """Raise Invalid where the packed body ends too early."""
        if not self.stream.eof:
            raise self.broken()

    def broken(self) -> Invalid:
        message = f"The request's body is not in the format {self.coding} of its header 'Content-Encoding'."
        return Invalid(message, code="invalid_json")


def has_zlib_header(head: bytes) -> bool:
    """Return whether bytes begin with a zlib header: method 8 and a check sum (RFC 1950, section 2.2)."""
    return head[0] & 0x0F == zlib.DEFLATED and int.from_bytes(head[:2]) % 31 == 0
