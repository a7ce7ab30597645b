"""May an image be loaded from this address?

A caller chooses the address, and a server inside the private network may load it. So only public hosts over https on
the default port are allowed. An IPv4 address may be written in many ways (decimal, hexadecimal, octal, with fewer than
four parts); each is read as the resolvers of the C library read it.
"""

import re
from ipaddress import AddressValueError, IPv4Address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from domain.sources.egress_policy import METADATA_NAMES, public_problem

LONGEST: Final = 2048
HTTPS_PORT: Final = 443
HOST: Final = re.compile(r"[a-z0-9]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")
NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")
MOST_PARTS: Final = 4
LARGEST_BYTE: Final = 255

PRIVATE_SUFFIXES: Final = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home.arpa", "onion")
"""Names that are never public (RFC 6761, RFC 6762, RFC 8375, RFC 7686) or that private networks use."""


def address_problem(url: str) -> str | None:
    """Return why an image must not be loaded from an address, or None where it may."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "it is not a valid address"
    problems = (
        (len(url) > LONGEST, f"it is longer than {LONGEST} characters"),
        (not is_plain(url), "expected printable ASCII characters without spaces and backslashes"),
        (parts.scheme != "https", "expected https"),
        ("@" in parts.netloc, "a user name or password is not allowed"),
        (port not in (None, HTTPS_PORT) or parts.netloc.endswith(":"), "a port is not allowed"),
    )
    return next((problem for is_wrong, problem in problems if is_wrong), None) or host_problem(parts)


def is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url and "\\" not in url


def host_problem(parts: SplitResult) -> str | None:
    host = (parts.hostname or "").removesuffix(".")
    if "[" in parts.netloc:
        return public_problem(host)
    if not HOST.fullmatch(host):
        return "its host is not a valid name"
    if NUMBER.fullmatch(host.rpartition(".")[2]):
        literal = ipv4_of(host)
        return "its host is not a valid IP address" if literal is None else public_problem(literal)
    private = host.endswith(tuple(f".{each}" for each in PRIVATE_SUFFIXES))
    return "its host is not a public name" if private or "." not in host or host in METADATA_NAMES else None


def ipv4_of(host: str) -> str | None:
    """Return the address that a host of numbers means to `inet_aton`; None where it means none."""
    parts = host.split(".")
    if len(parts) > MOST_PARTS:
        return None
    numbers = [number_of(part) for part in parts]
    *heads, last = numbers
    if last is None or any(head is None or head > LARGEST_BYTE for head in heads):
        return None
    value = last
    for index, head in enumerate(heads):
        value += (head or 0) << (8 * (3 - index))
    try:
        return str(IPv4Address(value)) if last < 256 ** (5 - len(parts)) else None
    except AddressValueError:
        return None


def number_of(text: str) -> int | None:
    """Return a number in decimal, octal (0…) or hexadecimal (0x…) notation."""
    if not NUMBER.fullmatch(text):
        return None
    base = 16 if text.startswith("0x") else 8 if text.startswith("0") else 10
    try:
        return int(text.removeprefix("0x") or "0", base)
    except ValueError:
        return None
