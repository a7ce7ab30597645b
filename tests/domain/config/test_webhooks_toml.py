"""Does the file of the webhooks say what it means, and are all its mistakes named without a secret?"""

import base64
from pathlib import Path

import pytest

from domain.config.webhooks_toml import TENANT_LIMIT, endpoints_from_toml
from domain.errors import ConfigurationError
from domain.log.events import ResponseStatus
from domain.turns.webhook_events import WebhookEndpoints

NEW, OLD = b"n" * 32, b"o" * 32
SECRETS = {name: f"whsec_{base64.b64encode(secret).decode()}" for name, secret in (("NEW", NEW), ("OLD", OLD))}
URL = "https://hooks.example.com:8443/turns?from=us"
GOOD = f"""
[webhooks.billing]
url = "{URL}"
secrets = ["NEW", "OLD"]
tenants = ["t1"]
"""


def read(text: str, *, loopback: bool = False, **variables: str) -> WebhookEndpoints:
    return endpoints_from_toml(text, {**SECRETS, **variables}, loopback=loopback)


def test_a_webhook_is_read_with_its_defaults() -> None:
    endpoint = read(GOOD).known["billing"]
    assert (endpoint.url, endpoint.secrets, endpoint.tenants) == (URL, (NEW, OLD), frozenset({"t1"}))
    assert endpoint.events == {
        ResponseStatus.COMPLETED,
        ResponseStatus.INCOMPLETE,
        ResponseStatus.FAILED,
        ResponseStatus.CANCELLED,
    }
    assert (endpoint.background, endpoint.revision) == (False, 1)


def test_a_webhook_says_what_it_wants() -> None:
    more = 'events = ["response.failed"]\nbackground = true\nrevision = 2\n'
    endpoint = read(GOOD + more).known["billing"]
    assert (endpoint.events, endpoint.background, endpoint.revision) == (frozenset({ResponseStatus.FAILED}), True, 2)


def test_the_file_of_the_product_is_good_and_has_a_webhook_where_two_settings_say_so() -> None:
    text = (Path(__file__).parents[3] / "webhooks.toml").read_text()
    assert read(text, GANGLION_TOKEN_TENANTS="t1").known == {}
    secret, tenants = SECRETS["NEW"], "t1, t2"
    found = read(text, GANGLION_WEBHOOK_URL=URL, GANGLION_WEBHOOK_SECRET=secret, GANGLION_TOKEN_TENANTS=tenants)
    [endpoint] = found.known.values()
    assert (endpoint.url, endpoint.secrets, endpoint.tenants) == (URL, (NEW,), frozenset({"t1", "t2"}))


def test_all_tenants_are_meant_where_the_file_says_so() -> None:
    assert read(GOOD.replace('"t1"', '"*"')).known["billing"].tenants == frozenset()


def test_of_two_secrets_one_may_be_missing_but_not_both() -> None:
    assert read(GOOD, NEW="").known["billing"].secrets == (OLD,)
    with pytest.raises(ConfigurationError, match="NEW is not set"):
        read(GOOD, NEW="", OLD="")


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com",
        "https://user:word@hooks.example.com",
        "https://hooks.example.com/#part",
        "https://metadata.google.internal/x",
        "https://METADATA.google.internal./x",
        "https://hooks.example.com:99999",
        "https://hooks.example.com:0",
        "https://hooks..example.com",
        f"https://{'h' * 64}.example.com",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/é",
        "ftp://hooks.example.com",
        "hooks.example.com",
        "https://",
        "http://127.0.0.1:1/x",
    ],
)
def test_an_address_is_a_plain_one_with_tls(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"webhooks\.billing\.url"):
        read(GOOD.replace(URL, url))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_without_tls_it_may_lie_on_this_machine_where_the_settings_let_it(host: str) -> None:
    url = f"http://{host}:8080/x"
    assert read(GOOD.replace(URL, url), loopback=True).known["billing"].url == url
    with pytest.raises(ConfigurationError, match="url"):
        read(GOOD.replace(URL, "http://hooks.example.com"), loopback=True)


@pytest.mark.parametrize(
    "secret",
    [
        "heron",
        "whsec_heron!",
        f"whsec_{base64.b64encode(b'heron').decode()}",
        base64.b64encode(NEW).decode(),
        f"whsec_{base64.b64encode(b'h' * 65).decode()}",
        "whsec_é",
    ],
)
def test_a_secret_that_is_none_is_named_by_its_variable_and_not_shown(secret: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(GOOD, NEW=secret)
    assert caught.value.problems == ("NEW: expected whsec_ and 24 to 64 bytes in base64",)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('events = ["response.done"]', "events"),
        ("revision = 0", "revision"),
        ('background = "yes"', "background"),
        ('private = "yes"', "private"),
    ],
)
def test_a_mistake_is_named_by_its_field(line: str, field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"webhooks.billing.{field}"):
        read(GOOD + line)


@pytest.mark.parametrize("field", ["tenants", "secrets", "url"])
def test_address_secrets_and_tenants_must_be_said(field: str) -> None:
    text = "\n".join(line for line in GOOD.splitlines() if not line.startswith(field))
    with pytest.raises(ConfigurationError, match=f"webhooks.billing.{field}"):
        read(text)


def test_a_name_is_short_and_plain() -> None:
    with pytest.raises(ConfigurationError, match="expected a name"):
        read(GOOD.replace("billing", "Billing_" + "x" * 40))


def test_a_tenant_has_few_webhooks() -> None:
    many = "".join(GOOD.replace("billing", f"hook-{number}") for number in range(TENANT_LIMIT + 1))
    with pytest.raises(ConfigurationError, match=f"at most {TENANT_LIMIT} for tenant t1"):
        read(many)


def test_events_of_budgets_have_to_be_named() -> None:
    assert not read(GOOD).known["billing"].budget_events
    endpoint = read(GOOD + 'events = ["response.failed", "budget.alarmed"]\n').known["billing"]
    assert (endpoint.events, endpoint.budget_events) == ({ResponseStatus.FAILED}, {"budget.alarmed"})
    alone = read(GOOD + 'events = ["budget.warned"]\n').known["billing"]
    assert (alone.events, alone.budget_events) == (frozenset(), {"budget.warned"})
