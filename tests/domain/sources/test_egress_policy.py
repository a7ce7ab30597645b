"""Is an address refused whatever it is dressed up as?"""

from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.sources.egress_policy import rejection_reason

METADATA = "169.254.169.254"
DRESSES = ["{0}", "::ffff:{0}", "::{0}", "64:ff9b::{0}", "2002:{1:04x}:{2:04x}::1"]


def dressed(text: str, dress: str) -> str:
    bits = int(IPv4Address(text))
    return dress.format(text, bits >> 16, bits & 0xFFFF)


def refused(text: str, *, private: bool = True, loopback: bool = False, network: str = "") -> str | None:
    networks = [ip_network(network)] if network else []
    return rejection_reason(text, private=private, networks=networks, loopback=loopback)


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize(
    "text", [METADATA, "169.254.0.1", "168.63.129.16", "100.100.100.200", "0.0.0.0", "255.255.255.255", "224.0.0.1"]
)
def test_metadata_services_and_no_hosts_are_never_reached(text: str, dress: str, *, private: bool) -> None:
    assert refused(dressed(text, dress), private=private, loopback=True)


@pytest.mark.parametrize("text", ["fe80::1", "fe80::1%eth0", "fd00:ec2::254", "ff02::1", "::", "2001:0:1::1"])
def test_those_of_the_new_protocol_neither(text: str) -> None:
    assert refused(text, loopback=True)
    assert refused(text, private=False, loopback=True)


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("text", ["127.0.0.1", "127.8.9.10"])
def test_this_machine_is_reached_only_where_the_settings_say_so(text: str, dress: str) -> None:
    assert refused(dressed(text, dress)) == "it is a loopback address of this machine"
    assert refused(dressed(text, dress), loopback=True) is None


def test_this_machine_has_a_new_address_too() -> None:
    assert refused("::1")
    assert refused("::1", loopback=True) is None


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("text", ["10.1.2.3", "172.16.0.1", "192.168.4.4"])
def test_a_private_source_lies_in_private_networks_and_a_public_one_does_not(text: str, dress: str) -> None:
    assert refused(dressed(text, dress)) is None
    assert refused(dressed(text, dress), private=False)


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("text", ["8.8.8.8", "20.50.2.1", "172.32.0.1", "11.0.0.1"])
def test_a_public_address_is_no_private_sources(text: str, dress: str) -> None:
    assert refused(dressed(text, dress))
    assert refused(dressed(text, dress), private=False) is None


def test_a_source_that_names_its_networks_lies_in_them() -> None:
    assert refused("10.1.2.3", network="10.1.0.0/16") is None
    assert refused("10.2.2.3", network="10.1.0.0/16")
    assert refused("8.8.8.8", network="0.0.0.0/0")
    assert refused("fc00::5") is None


@pytest.mark.parametrize("text", ["", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "10.1", "10.0.0.1/8"])
def test_what_is_no_address_is_refused(text: str) -> None:
    assert refused(text) == "it is not a valid IP address"


@given(address=st.ip_addresses(), private=st.booleans())
def test_what_may_be_reached_is_private_or_public_as_declared(address: object, *, private: bool) -> None:
    if refused(str(address), private=private) is None:
        assert refused(str(address), private=not private) is not None
