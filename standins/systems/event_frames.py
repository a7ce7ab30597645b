"""How is an event stream of AWS written, as AWS's documentation of the format lays it out?"""

import json
import struct
from binascii import crc32
from collections.abc import Mapping
from typing import Any

CONTENT_TYPE = "application/vnd.amazon.eventstream"


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    names = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(names) + len(payload), len(names))
    whole = prelude + struct.pack(">I", crc32(prelude)) + names + payload
    return whole + struct.pack(">I", crc32(whole))


def event(kind: str, payload: bytes, content_type: str = "application/json") -> bytes:
    return message({":event-type": kind, ":content-type": content_type, ":message-type": "event"}, payload)


def json_event(kind: str, body: Mapping[str, Any]) -> bytes:
    """Return an event with a field `p`, by which AWS hides the length of the text."""
    return event(kind, json.dumps({**body, "p": "abcdefghijkl"}).encode())
