"""What is the format of ids, and which partition does an id identify?

A thread is 24 hexadecimal digits. A conversation's id is `conv_<thread>`; the id of a response or an item is its
prefix, its thread and 24 more digits, so that every id contains the partition of its thread.
"""

import re
from typing import Literal

type Prefix = Literal["resp", "msg", "fc", "fco", "rs", "mcp", "mcpl", "mcpr", "mcpa", "fs"]

TOKEN = re.compile(r"[0-9a-f]{24}")
MEMBER = re.compile(
    r"(?P<prefix>resp|msg|fc|fco|rs|mcp|mcpl|mcpr|mcpa|fs)_(?P<thread>[0-9a-f]{24})(?P<own>[0-9a-f]{24})"
)
CONVERSATION = re.compile(r"conv_(?P<thread>[0-9a-f]{24})")


def member_id(prefix: Prefix, *, thread: str, token: str) -> str:
    """Return the id of a response or an item; `thread` and `token` are 24 hexadecimal digits each."""
    return f"{prefix}_{thread}{token}"


def operator_warm_up_id(token: str) -> str:
    """Return the id under which an operator's warm-up is booked: it belongs to no turn."""
    return f"warm_{token}"


def conversation_id(thread: str) -> str:
    return f"conv_{thread}"


def thread_of(identifier: str) -> str | None:
    """Return the thread that an id contains, or None where the format is wrong."""
    found = MEMBER.fullmatch(identifier) or CONVERSATION.fullmatch(identifier)
    return found["thread"] if found else None


def is_response_id(identifier: str) -> bool:
    return identifier.startswith("resp_") and MEMBER.fullmatch(identifier) is not None


def own_token(identifier: str) -> str:
    """Return the last 24 digits of a response's or item's id; raises ValueError where the format is wrong."""
    found = MEMBER.fullmatch(identifier)
    if not found:
        raise ValueError(f"{identifier!r} is not the id of a response or an item")
    return found["own"]
