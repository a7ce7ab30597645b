"""May the product connect to this address?

An IPv6 address that embeds an IPv4 address (mapped, translated, compatible, 6to4, NAT64, ISATAP) is checked as the
embedded address: the connection ends there.
"""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

type Address = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network

PRIVATE: Final[tuple[Network, ...]] = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
"""The private networks. They limit a private source's own list, and are its default."""

METADATA: Final = frozenset(
    ip_address(text) for text in ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)
"""Metadata and host services of clouds outside the link-local networks."""

METADATA_NAMES: Final = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "metadata.azure.internal", "instance-data"}
)

MAPPED: Final = ip_network("::ffff:0:0/96")
COMPATIBLE: Final = ip_network("::/96")
TRANSLATED: Final = ip_network("::ffff:0:0:0/96")
NAT64: Final = ip_network("64:ff9b::/96")
SIX_TO_FOUR: Final = ip_network("2002::/16")
TEREDO: Final = ip_network("2001::/32")
SITE_LOCAL: Final = ip_network("fec0::/10")
SEGMENT_ROUTING: Final = ip_network("5f00::/16")
RELAYS: Final = ip_network("192.88.99.0/24")
ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""The upper half of the interface identifier of an ISATAP address (RFC 5214, section 6.1)."""


def rejection_reason(text: str, *, private: bool, networks: Iterable[Network], loopback: bool) -> str | None:
    """Return why connecting to an address is not allowed, or None where it is allowed.

    `private`: the source is declared as private; it must be in one of `networks` (empty: any private network).
    `loopback`: the settings allow sources on this machine.
    """
    try:
        address = embedded_address(ip_address(text))
    except ValueError:
        return "it is not a valid IP address"
    for reason, is_so in FORBIDDEN:
        if is_so(address):
            return reason
    if address.is_loopback:
        return None if loopback else "it is a loopback address of this machine"
    return network_problem(address, private=private, networks=tuple(networks) or PRIVATE)


def network_problem(address: Address, *, private: bool, networks: tuple[Network, ...]) -> str | None:
    if private:
        inside = any(address in network for network in networks)
        return (
            None if inside and is_private(address) else "the source is private, but the address is not in its networks"
        )
    return None if address.is_global else NOT_PUBLIC


def is_private(address: Address) -> bool:
    return any(address in network for network in PRIVATE)


def embedded_address(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address embeds, else the address itself without its zone."""
    if isinstance(address, IPv4Address):
        return address
    bits = int(address)
    if address in SIX_TO_FOUR:
        return IPv4Address((bits >> 80) & 0xFFFFFFFF)
    low = bits & 0xFFFFFFFF
    translated = any(address in network for network in (MAPPED, TRANSLATED, NAT64))
    embeds = translated or (address in COMPATIBLE and low > 1) or (bits >> 32) & 0xFFFFFFFF in ISATAP
    return IPv4Address(low) if embeds else IPv6Address(bits)


FORBIDDEN: Final[tuple[tuple[str, Callable[[Address], bool]], ...]] = (
    ("it is link-local, like cloud metadata services", lambda address: address.is_link_local),
    ("it is a cloud metadata service", lambda address: address in METADATA),
    ("it is a multicast address", lambda address: address.is_multicast),
    ("it is not the address of a host", lambda address: address.is_unspecified or address == BROADCAST),
    ("it is a Teredo tunnel", lambda address: address in TEREDO),
    ("it is a site-local address", lambda address: address in SITE_LOCAL),
    ("it is an address of segment routing", lambda address: address in SEGMENT_ROUTING),
    ("it is a 6to4 relay", lambda address: address in RELAYS),
)

NOT_PUBLIC: Final = "the source is public, but the address is not"


def public_problem(text: str) -> str | None:
    """Return why an address that a caller names is not allowed, or None: only public addresses are."""
    problem = rejection_reason(text, private=False, networks=(), loopback=False)
    return "it is not a public address" if problem == NOT_PUBLIC else problem


BROADCAST: Final = IPv4Address("255.255.255.255")
