"""Did the write-ahead log lose transactions, because a part of it was damaged?

SQLite reads the log up to the first frame with a wrong checksum and says nothing about the frames after it. They were
committed if they belong to the same generation of the log (the same salts) and a commit is among them. Source of the
format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
"""

import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
MAGICS: Final = {0x377F0682: "little", 0x377F0683: "big"}
"""The first number of a log, and the byte order of its checksums."""

WORD: Final = 0xFFFFFFFF
PAGE_SIZES: Final = frozenset(2**power for power in range(9, 17))
HEADER_DAMAGED: Final = "its header is damaged, so that none of its {count} frames is read"
FRAME_DAMAGED: Final = "frame {number} of {count} is damaged, so that the committed frames after it are lost"


class WalFrame(NamedTuple):
    """One frame: its salts, whether it ends a transaction, its checksum, and the bytes that the checksum covers."""

    salts: bytes
    commits: bool
    checksum: tuple[int, int]
    covered: bytes


def lost_transactions(log: Path) -> str:
    """Return how the log of a database is damaged; empty where nothing that was committed is lost.

    A log that ends in the middle of a frame, or in frames of an earlier generation, is not damaged.
    """
    data = log.read_bytes() if log.is_file() else b""
    if len(data) <= HEADER_BYTES:
        return ""
    order = MAGICS.get(number(data, 0))
    frames = list(frames_of(data))
    known = (number(data, 24), number(data, 28))
    if order is None or checksum(data[:24], (0, 0), order) != known:
        return HEADER_DAMAGED.format(count=len(frames)) if frames else ""
    return damage_of(frames, salts=data[16:24], before=known, order=order)


def damage_of(frames: list[WalFrame], *, salts: bytes, before: tuple[int, int], order: str) -> str:
    for index, frame in enumerate(frames):
        before = checksum(frame.covered, before, order)
        if frame.salts == salts and frame.checksum == before:
            continue
        is_lost = any(each.salts == salts and each.commits for each in frames[index + 1 :])
        return FRAME_DAMAGED.format(number=index + 1, count=len(frames)) if is_lost else ""
    return ""


def frames_of(data: bytes) -> Iterator[WalFrame]:
    """Yield the complete frames of a log; none where the size of its pages is damaged."""
    page_bytes = number(data, 8)
    size = FRAME_HEADER_BYTES + page_bytes
    if page_bytes not in PAGE_SIZES:
        return
    for start in range(HEADER_BYTES, len(data) - size + 1, size):
        frame = data[start : start + size]
        yield WalFrame(
            salts=frame[8:16],
            commits=number(frame, 4) != 0,
            checksum=(number(frame, 16), number(frame, 20)),
            covered=frame[:8] + frame[FRAME_HEADER_BYTES:],
        )


def checksum(data: bytes, before: tuple[int, int], order: str) -> tuple[int, int]:
    words = array("I", data)
    if order != sys.byteorder:
        words.byteswap()
    first, second = before
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & WORD
        second = (second + odd + first) & WORD
    return first, second


def number(data: bytes, start: int) -> int:
    return int.from_bytes(data[start : start + 4], "big")
