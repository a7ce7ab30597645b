"""Does our cutting of AWS's event streams agree with botocore's decoder?"""

import struct
from binascii import crc32
from random import Random
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from clients.backends.formats.event_stream import MESSAGE_LIMIT, EventStream
from tests.clients.backends.formats.frames import event, exception

Seen = list[tuple[str, str, bytes]]

WHOLE = event("contentBlockDelta", contentBlockIndex=0, delta={"text": "Hello."})


def ours(whole: bytes, random: Random) -> tuple[Seen, bool]:
    """Return the messages of a body that arrives in random chunks, and whether it is damaged."""
    stream, found, at = EventStream(), Seen(), 0
    while at < len(whole):
        size = random.randint(1, 90)
        try:
            found += [(kind.event, kind.error, payload) for kind, payload in stream.feed(whole[at : at + size])]
        except ValueError:
            return found, True
        at += size
    return found, False


def theirs(whole: bytes) -> tuple[Seen, bool]:
    """Return what botocore reads. It raises errors of several kinds for a damaged body."""
    buffer: Any = EventStreamBuffer()
    found = Seen()
    try:
        buffer.add_data(whole)
        for each in buffer:
            headers = each.headers
            is_event = headers.get(":message-type") == "event"
            error = headers.get(":exception-type") or headers.get(":error-code") or "unknown"
            found.append((headers.get(":event-type", "") if is_event else "", "" if is_event else error, each.payload))
    except Exception:  # noqa: BLE001 - as said above
        return found, True
    return found, False


def body(random: Random) -> bytes:
    """Return a stream of events and exceptions, damaged in one of three."""
    messages = [
        exception("throttlingException") if random.random() < 0.1 else event("e" * random.randint(0, 9), n="x" * size)
        for size in (random.randint(0, 150) for _ in range(random.randint(1, 9)))
    ]
    whole = bytearray(b"".join(messages))
    if random.random() < 0.34:
        whole[random.randrange(len(whole))] ^= 1 << random.randrange(8)
    return bytes(whole[: random.randrange(len(whole))] if random.random() < 0.1 else whole)


def compare(seeds: range) -> None:
    """Of a damaged stream we drop what arrives in one chunk with the damage: the attempt fails in either case."""
    for seed in seeds:
        random = Random(seed)  # noqa: S311 - the streams of a test must repeat
        whole = body(random)
        (found, damaged), (expected, expects_damage) = ours(whole, random), theirs(whole)
        assert damaged == expects_damage, seed
        assert found == (expected[: len(found)] if damaged else expected), seed


def test_random_streams_cut_anywhere_are_read_as_botocore_reads_them() -> None:
    compare(range(500))


@pytest.mark.campaign
def test_10_000_random_streams_are_read_as_botocore_reads_them() -> None:
    compare(range(500, 10_500))


@pytest.mark.parametrize(
    "headers",
    [
        b"\x05:e\x07",
        b"\x02ab\x63",
        b"\x02\xff\xfe\x00",
        b"\x01a\x00\x01a\x00",
    ],
)
def test_malformed_headers_are_a_damaged_stream(headers: bytes) -> None:
    """The checksums are right: only the headers' own form is wrong."""
    with pytest.raises(ValueError, match=r"headers|decode"):
        EventStream().feed(raw(headers, b"{}"))


def test_lengths_that_cannot_be_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="longer than"):
        EventStream().feed(prelude(MESSAGE_LIMIT + 1, 0))
    with pytest.raises(ValueError, match="shorter than"):
        EventStream().feed(prelude(15, 0))
    with pytest.raises(ValueError, match="shorter than"):
        EventStream().feed(prelude(40, 30))


def test_many_kinds_of_messages_are_not_all_remembered() -> None:
    stream = EventStream()
    for number in range(200):
        ((kind, _),) = stream.feed(event(f"kind{number}"))
        assert kind.event == f"kind{number}"
    assert len(stream.kinds) < 200


def raw(headers: bytes, payload: bytes) -> bytes:
    whole = prelude(16 + len(headers) + len(payload), len(headers)) + headers + payload
    return whole + struct.pack(">I", crc32(whole))


def prelude(length: int, headers_length: int) -> bytes:
    lengths = struct.pack(">II", length, headers_length)
    return lengths + struct.pack(">I", crc32(lengths))
