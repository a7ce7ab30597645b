"""Does the file of the sources say what it means, and are all its mistakes named?"""

from pathlib import Path

import pytest

from domain.config.sources_toml import sources_from_toml
from domain.errors import ConfigurationError
from domain.sources.catalog import CallerClaim, Sources

GOOD = """
[defaults]
"*" = ["orders"]
[sources.orders]
kind = "http"
url = "https://orders.internal:8443"
path = "/v1/orders"
rows = ["data", "orders"]
parameters = { account = "oid" }
networks = ["10.1.0.0/16"]
"""


def read(text: str, *, on_azure: bool = False, **variables: str) -> Sources:
    return sources_from_toml(text, variables, on_azure=on_azure)


def test_a_source_is_read_with_its_defaults() -> None:
    sources = read(GOOD)
    source = sources.known["orders"]
    assert (source.address, source.path, source.rows) == (
        "https://orders.internal:8443",
        "/v1/orders",
        ("data", "orders"),
    )
    assert source.parameters == {"account": CallerClaim.OID}
    assert source.private
    assert not source.is_tool
    assert source.keywords == 0
    assert sources.defaults == {"*": ("orders",)}


def test_the_file_of_the_product_is_good_and_leaves_out_what_is_not_set() -> None:
    text = (Path(__file__).parents[3] / "sources.toml").read_text()
    assert read(text).known == {}
    assert set(read(text, GANGLION_PRIVATE_DATA_URL="http://127.0.0.1:1").known) == {"orders", "documents"}


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254.",
        "http://user@orders.internal",
        "http://orders.internal/path",
        "http://orders.internal?q",
        "ftp://orders.internal",
        "file:///etc/passwd",
        "orders.internal",
        "http://metadata.google.internal",
        "http://METADATA.google.internal.",
        "http://orders.internal:99999",
        "http://orders.internal:0",
        "http://",
    ][1:],
)
def test_an_address_is_scheme_host_and_port_and_no_metadata_service(url: str) -> None:
    with pytest.raises(ConfigurationError, match="url"):
        read(GOOD.replace("https://orders.internal:8443", url))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.1.2.3", "a.localhost"])
def test_a_source_on_azure_is_not_at_a_loopback_address(host: str) -> None:
    text = GOOD.replace("https://orders.internal:8443", f"http://{host}:80")
    assert read(text).known
    with pytest.raises(ConfigurationError, match="loopback"):
        read(text, on_azure=True)


@pytest.mark.parametrize(
    ("change", "to", "named"),
    [
        ('kind = "http"', 'kind = "ftp"', "kind"),
        ('path = "/v1/orders"', 'path = "/v1/../admin"', "path"),
        ('path = "/v1/orders"', 'path = "v1"', "path"),
        ('account = "oid"', 'account = "email"', "parameters.account"),
        ('account = "oid"', '"a b" = "oid"', "plain name"),
        ('parameters = { account = "oid" }', "", "parameters from claims"),
        ('"10.1.0.0/16"', '"0.0.0.0/0"', "networks"),
        ('"10.1.0.0/16"', '"20.0.0.0/8"', "networks"),
        ('["orders"]\n[', '["other"]\n[', "defaults"),
        ('kind = "http"', 'kind = "http"\nkeywords = 99', "keywords"),
        ('kind = "http"', 'kind = "http"\nquery = "select"', "query"),
        ("[sources.orders]", '[sources."Or ders"]', "name"),
        ('kind = "http"', 'kind = "cosmos"\ntarget = ["a"]\nquery = "q"', "target"),
        ('kind = "http"', 'kind = "sqlite_search"\nfile = "f"\ntarget = ["a; drop"]', "target"),
        ('"http"\nurl = "https:', '"cosmos"\nurl = "http:', "https"),
        ('url = "https:', 'scope = "s"\nurl = "http:', "https"),
    ],
)
def test_every_mistake_is_named(change: str, to: str, named: str) -> None:
    assert change in GOOD
    with pytest.raises(ConfigurationError, match=named):
        read(GOOD.replace(change, to))


def test_a_source_may_be_a_tool_with_a_description() -> None:
    source = read(GOOD + 'tool = true\ndescription = "Orders"\n').known["orders"]
    assert (source.is_tool, source.description) == (True, "Orders")


def test_a_tool_is_said_by_a_flag() -> None:
    with pytest.raises(ConfigurationError, match=r"sources\.orders\.tool: expected true or false, found 'yes'"):
        read(GOOD + 'tool = "yes"\n')


BLOB = """
[sources.letters]
kind = "blob"
url = "https://shop.blob.core.windows.net"
target = ["letters"]
path = "{tenant}/{account}/{blob}"
parameters = { tenant = "tid", account = "oid" }
"""


def test_a_blob_source_names_its_containers_and_its_path() -> None:
    source = read(BLOB).known["letters"]
    assert (source.address, source.target) == ("https://shop.blob.core.windows.net", ("letters",))
    assert source.reads_named_blob
    local = read(BLOB.replace("https://shop.blob.core.windows.net", "https://127.0.0.1:10000/devstoreaccount1"))
    assert local.known["letters"].address.endswith("/devstoreaccount1")
    assert read(BLOB.replace("https://shop.", "https://%SHOP_ACCOUNT%.")).unconfigured == {"letters"}


@pytest.mark.parametrize(
    ("change", "to", "named"),
    [
        ('"https://shop', '"http://shop', "url"),
        ('"https://shop', '"https://u:p@shop', "url"),
        ("windows.net", "windows.net?sig=x", "url"),
        ("windows.net", "windows.net/../x", "url"),
        ('["letters"]', '["Letters"]', "target"),
        ('["letters"]', "[]", "target"),
        ("{tenant}/{account}/{blob}", "../{blob}", "path"),
        ("{tenant}/{account}/{blob}", "/a/{blob}", "path"),
        ("{tenant}/{account}/{blob}", "{oid}/{blob}", "path"),
        ("{tenant}/{account}/{blob}", "{blob}/{account}", "path"),
        ("{tenant}/{account}/{blob}", "{account}{blob}", "path"),
        ("{tenant}/{account}/{blob}", "{tenant}/a%2e", "path"),
        ("{tenant}/{account}/{blob}", "all.csv", "parameters"),
        ('["letters"]\npath = "{tenant}/{account}/{blob}"', '["letters", "more"]\npath = "{tenant}/x"', "target"),
        ('account = "oid"', 'account = "roles"', "path"),
        ("[sources.letters]", "[sources.letters]\nkeywords = 3", "keywords"),
        ("[sources.letters]", "[sources.letters]\nmax_bytes = 90000000", "max_bytes"),
        ("[sources.letters]", '[sources.letters]\nfile = "x"', "file"),
    ],
)  # fmt: skip
def test_a_wrong_blob_source_is_reported_by_its_field(change: str, to: str, named: str) -> None:
    assert change in BLOB
    with pytest.raises(ConfigurationError, match=rf"letters\.{named}"):
        read(BLOB.replace(change, to))


def test_all_mistakes_of_a_blob_source_are_reported_together() -> None:
    wrong = BLOB.replace("https://shop", "http://shop").replace('["letters"]', '["L"]').replace("{account}/", "{who}/")
    with pytest.raises(ConfigurationError) as raised:
        read(wrong)
    assert {each.partition(":")[0] for each in raised.value.problems} == {
        f"sources.letters.{field}" for field in ("url", "path", "target", "parameters")
    }
