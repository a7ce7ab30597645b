"""Which messages does a stream in AWS's binary event format contain?

A message is: its length and that of its headers, a checksum of these, the headers, the payload, and a checksum of all
before it. Messages are cut here, and botocore reads the headers of each kind of message once (decision 128).
"""

import struct
from binascii import crc32
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from msgspec import Struct

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"
PRELUDE: Final = struct.Struct(">III")
CHECKSUM: Final = struct.Struct(">I")
CHECKED: Final = 8
"""The bytes of the prelude that its own checksum covers."""

MESSAGE_LIMIT: Final = 1_000_000
MOST_KINDS: Final = 64
"""How many headers are remembered. A service has about ten kinds of messages."""


class MessageKind(Struct, frozen=True, kw_only=True):
    """What the headers of a message say: the type of its event, or else the name of an error."""

    event: str = ""
    error: str = ""


class Message(NamedTuple):
    kind: MessageKind
    payload: bytes


class EventStream:
    """Splits a body that arrives in chunks into its messages."""

    def __init__(self) -> None:
        self.incomplete = b""
        self.kinds: dict[bytes, MessageKind] = {}

    def feed(self, chunk: bytes) -> list[Message]:
        """Return the messages that this chunk completes. Raises ValueError for a damaged or oversized one."""
        data, at, found = self.incomplete + chunk, 0, list[Message]()
        while len(data) - at >= PRELUDE.size:
            length, headers_length, checksum = PRELUDE.unpack_from(data, at)
            if crc32(data[at : at + CHECKED]) != checksum:
                raise ValueError("the prelude of a message is damaged")
            check_lengths(length, headers_length)
            if len(data) - at < length:
                break
            found.append(self.message(data[at : at + length], headers_length, checksum))
            at += length
        self.incomplete = data[at:]
        return found

    def message(self, data: bytes, headers_length: int, checksum: int) -> Message:
        end = len(data) - CHECKSUM.size
        if crc32(data[CHECKED:end], checksum) != CHECKSUM.unpack_from(data, end)[0]:
            raise ValueError("a message is damaged")
        headers_end = PRELUDE.size + headers_length
        return Message(self.kind(data[PRELUDE.size : headers_end]), data[headers_end:end])

    def kind(self, headers: bytes) -> MessageKind:
        known = self.kinds.get(headers)
        if known is None:
            known = kind_in(headers)
            if len(self.kinds) < MOST_KINDS:
                self.kinds[headers] = known
        return known


def check_lengths(length: int, headers_length: int) -> None:
    if length < PRELUDE.size + headers_length + CHECKSUM.size:
        raise ValueError("a message is shorter than its headers")
    if length > MESSAGE_LIMIT:
        raise ValueError(f"a message of the event stream is longer than {MESSAGE_LIMIT} bytes")


def kind_in(data: bytes) -> MessageKind:
    """Return what the headers of a message say. Raises ValueError where they are malformed."""
    from botocore.eventstream import EventStreamHeaderParser, ParserError  # noqa: PLC0415 - for backends of AWS only

    parser: Any = EventStreamHeaderParser()
    try:
        headers: Mapping[str, Any] = parser.parse(data)
    except (ParserError, struct.error, LookupError) as problem:
        raise ValueError("the headers of a message are malformed") from problem
    if headers.get(":message-type") == "event":
        return MessageKind(event=str(headers.get(":event-type", "")))
    return MessageKind(error=str(headers.get(":exception-type") or headers.get(":error-code") or "unknown"))
