"""Is a forbidden address rejected however it is written?"""

from ipaddress import IPv4Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.sources.egress_policy import rejection_reason

METADATA = "169.254.169.254"
DISGUISES = ["{0}", "::ffff:{0}", "::{0}", "64:ff9b::{0}", "2002:{1:04x}:{2:04x}::1"]


def disguised(text: str, disguise: str) -> str:
    bits = int(IPv4Address(text))
    return disguise.format(text, bits >> 16, bits & 0xFFFF)


def reason_for(text: str, *, private: bool = True, loopback: bool = False, network: str = "") -> str | None:
    networks = [ip_network(network)] if network else []
    return rejection_reason(text, private=private, networks=networks, loopback=loopback)


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize(
    "text", [METADATA, "169.254.0.1", "168.63.129.16", "100.100.100.200", "0.0.0.0", "255.255.255.255", "224.0.0.1"]
)
def test_metadata_services_and_no_hosts_are_never_reached(text: str, disguise: str, *, private: bool) -> None:
    assert reason_for(disguised(text, disguise), private=private, loopback=True)


@pytest.mark.parametrize("text", ["fe80::1", "fe80::1%eth0", "fd00:ec2::254", "ff02::1", "::", "2001:0:1::1"])
def test_their_ipv6_addresses_are_never_reached(text: str) -> None:
    assert reason_for(text, loopback=True)
    assert reason_for(text, private=False, loopback=True)


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("text", ["127.0.0.1", "127.8.9.10"])
def test_this_machine_is_reached_only_where_the_settings_say_so(text: str, disguise: str) -> None:
    assert reason_for(disguised(text, disguise)) == "it is a loopback address of this machine"
    assert reason_for(disguised(text, disguise), loopback=True) is None


def test_the_ipv6_loopback_address_follows_the_same_rule() -> None:
    assert reason_for("::1")
    assert reason_for("::1", loopback=True) is None


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("text", ["10.1.2.3", "172.16.0.1", "192.168.4.4"])
def test_a_private_source_lies_in_private_networks_and_a_public_one_does_not(text: str, disguise: str) -> None:
    assert reason_for(disguised(text, disguise)) is None
    assert reason_for(disguised(text, disguise), private=False)


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("text", ["8.8.8.8", "20.50.2.1", "172.32.0.1", "11.0.0.1"])
def test_a_public_address_is_no_private_sources(text: str, disguise: str) -> None:
    assert reason_for(disguised(text, disguise))
    assert reason_for(disguised(text, disguise), private=False) is None


def test_a_source_that_names_its_networks_lies_in_them() -> None:
    assert reason_for("10.1.2.3", network="10.1.0.0/16") is None
    assert reason_for("10.2.2.3", network="10.1.0.0/16")
    assert reason_for("8.8.8.8", network="0.0.0.0/0")
    assert reason_for("fc00::5") is None


@pytest.mark.parametrize("text", ["", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "10.1", "10.0.0.1/8"])
def test_a_text_that_is_not_an_address_is_rejected(text: str) -> None:
    assert reason_for(text) == "it is not a valid IP address"


@given(address=st.ip_addresses(), private=st.booleans())
def test_what_may_be_reached_is_private_or_public_as_declared(address: object, *, private: bool) -> None:
    if reason_for(str(address), private=private) is None:
        assert reason_for(str(address), private=not private) is not None
