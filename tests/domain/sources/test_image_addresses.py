"""Which addresses of images are allowed?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.sources.image_addresses import address_problem, ipv4_of

ALLOWED = (
    "https://example.com/cat.png",
    "https://EXAMPLE.com./cat.png?size=2#top",
    "https://example.com:443/cat.png",
    "https://93.184.215.14/cat.png",
    "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/cat.png",
    "https://xn--bcher-kva.example/cat.png",
    "https://my_bucket.s3.amazonaws.com/cat.png",
)

FORBIDDEN = {
    "metadata of clouds": "https://169.254.169.254/latest/meta-data/",
    "metadata by name": "https://metadata.google.internal/computeMetadata/v1/",
    "metadata by name, with a dot": "https://METADATA.google.internal./",
    "metadata of Azure": "https://168.63.129.16/",
    "decimal": "https://2852039166/",
    "hexadecimal": "https://0xA9FEA9FE/",
    "hexadecimal parts": "https://0xa9.0xfe.0xa9.0xfe/",
    "octal": "https://0251.0376.0251.0376/",
    "two parts": "https://169.16689662/",
    "three parts": "https://169.254.43518/",
    "an IPv4 with a dot": "https://169.254.169.254./",
    "zero": "https://0/",
    "hexadecimal without digits": "https://0x/",
    "too large a number": "https://99999999999/",
    "too many parts": "https://1.2.3.4.5/",
    "a part too large": "https://300.1.1.1/",
    "not octal": "https://0999.1.1.1/",
    "loopback": "https://127.0.0.1/",
    "loopback by name": "https://localhost/",
    "below localhost": "https://a.localhost/",
    "a name without a dot": "https://intranet/",
    "a name of a private zone": "https://vm1.internal.cloudapp.local/",
    "private": "https://10.0.0.4/",
    "shared": "https://100.64.0.1/",
    "IPv6 loopback": "https://[::1]/",
    "IPv4-mapped": "https://[::ffff:169.254.169.254]/",
    "IPv4-mapped in hexadecimal": "https://[::ffff:a9fe:a9fe]/",
    "IPv4-translated": "https://[::ffff:0:169.254.169.254]/",
    "IPv4-compatible": "https://[::169.254.169.254]/",
    "NAT64": "https://[64:ff9b::a9fe:a9fe]/",
    "6to4": "https://[2002:a9fe:a9fe::]/",
    "ISATAP": "https://[2a00::5efe:a9fe:a9fe]/",
    "ISATAP, universal": "https://[2a00::200:5efe:10.0.0.1]/",
    "site-local": "https://[fec0::1]/",
    "unique local": "https://[fd00:ec2::254]/",
    "segment routing": "https://[5f00::1]/",
    "a 6to4 relay": "https://192.88.99.1/",
    "a zone": "https://[fe80::1%25eth0]/",
    "a user": "https://user@example.com/",
    "a user that looks like a host": "https://example.com@169.254.169.254/",
    "a password": "https://user:secret@example.com/",
    "a port": "https://example.com:8443/",
    "an empty port": "https://example.com:/",
    "a port that is no number": "https://example.com:x/",
    "http": "http://example.com/",
    "file": "file:///etc/passwd",
    "a backslash": "https://example.com\\@169.254.169.254/",
    "full-width digits": "https://\uff11\uff16\uff19.254.169.254/",
    "an escaped host": "https://169%2e254.169.254/",
    "an open bracket": "https://[::1/",
    "no host": "https:///cat.png",
    "a line break": "https://example.com/\ncat.png",
    "much too long": "https://example.com/" + "a" * 3000,
}


@pytest.mark.parametrize("url", ALLOWED)
def test_a_public_address_is_allowed(url: str) -> None:
    assert address_problem(url) is None


@pytest.mark.parametrize("url", FORBIDDEN.values(), ids=FORBIDDEN)
def test_an_address_that_is_not_public_is_forbidden(url: str) -> None:
    assert address_problem(url)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{}", "0x{:x}", "0{:o}"]))
def test_every_notation_means_the_same_address(value: int, notation: str) -> None:
    def written(*numbers: int) -> str:
        return ".".join(notation.format(number) for number in numbers)

    a, b, c, d = value.to_bytes(4)
    expected = f"{a}.{b}.{c}.{d}"
    forms = written(value), written(a, value & 0xFFFFFF), written(a, b, value & 0xFFFF), written(a, b, c, d)
    assert {ipv4_of(form) for form in forms} == {expected}


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    address_problem(f"https://{text}/")
    address_problem(text)
