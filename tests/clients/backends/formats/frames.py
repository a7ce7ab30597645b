"""How does AWS's documentation lay out the messages of an event stream?"""

import json
import struct
from binascii import crc32
from collections.abc import Mapping
from typing import Any


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return one message."""
    names = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(names) + len(payload), len(names))
    whole = prelude + struct.pack(">I", crc32(prelude)) + names + payload
    return whole + struct.pack(">I", crc32(whole))


def event(kind: str, **payload: Any) -> bytes:
    headers = {":message-type": "event", ":event-type": kind, ":content-type": "application/json"}
    return frame(headers, json.dumps({**payload, "p": "abcdef"}).encode())


def exception(kind: str) -> bytes:
    return frame({":message-type": "exception", ":exception-type": kind}, b'{"message":"account 123456789012"}')
