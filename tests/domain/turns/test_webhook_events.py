"""Do endpoints get the events that they want, and does the official SDK accept the signatures?"""

import base64
import json
from copy import replace

import pytest
from openai import InvalidWebhookSignatureError, OpenAI

from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from domain.turns.response import Response, ResponseOptions, ResponseProgress
from domain.turns.webhook_events import DELAYS_S, EVENTS, JITTER, WebhookDelivery, WebhookEndpoint, WebhookEndpoints

NEW, OLD, FOREIGN = b"n" * 32, b"o" * 24, b"f" * 32
NOW = 1_800_000_000.0
OWNER = Owner(tenant="t1", subject="user:u1")
ENDPOINT = WebhookEndpoint(name="main", url="https://hooks.example/x", secrets=(NEW,))
ENDED = Response(
    id=f"resp_{'a' * 24}{'b' * 24}",
    owner=OWNER,
    created_at=NOW - 9,
    deadline_at=NOW,
    options=ResponseOptions(model="model"),
    progress=ResponseProgress(status=ResponseStatus.COMPLETED, ended_at=NOW - 1),
)


def delivery_of(ended: Response = ENDED) -> WebhookDelivery:
    [delivery] = WebhookEndpoints(known={"main": ENDPOINT}).deliveries(ended)
    return delivery


def written(secret: bytes) -> str:
    return f"whsec_{base64.b64encode(secret).decode()}"


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_the_official_sdk_accepts_each_event_and_knows_its_type(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    delivery = delivery_of(replace(ENDED, progress=replace(ENDED.progress, status=EVENTS[kind])))
    headers = delivery.headers((NEW,), now=NOW)
    client = OpenAI(api_key="none", webhook_secret=written(NEW))
    event = client.webhooks.unwrap(delivery.body, headers)
    assert event.type == kind
    assert (event.id, event.created_at, event.object) == (delivery.id, int(NOW - 1), "event")
    assert json.loads(delivery.body)["data"] == {"id": ENDED.id}


@pytest.mark.parametrize("known", [NEW, OLD])
def test_while_a_secret_is_changed_a_receiver_that_knows_either_accepts(
    known: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    headers = delivery_of().headers((NEW, OLD), now=NOW)
    assert headers["webhook-signature"].count("v1,") == 2
    OpenAI(api_key="none").webhooks.verify_signature(delivery_of().body, headers, secret=written(known))


def test_a_receiver_with_another_secret_rejects_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    headers = delivery_of().headers((NEW, OLD), now=NOW)
    with pytest.raises(InvalidWebhookSignatureError):
        OpenAI(api_key="none").webhooks.verify_signature(delivery_of().body, headers, secret=written(FOREIGN))


def test_a_later_try_has_the_same_id_and_body_and_a_time_and_signature_of_its_own() -> None:
    first, later = (delivery_of().headers((NEW,), now=now) for now in (NOW, NOW + 5))
    assert first["webhook-id"] == later["webhook-id"]
    assert first["webhook-timestamp"] != later["webhook-timestamp"]
    assert first["webhook-signature"] != later["webhook-signature"]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, True),
        ({"tenants": frozenset({"t1", "t2"})}, True),
        ({"tenants": frozenset({"t2"})}, False),
        ({"events": frozenset({ResponseStatus.COMPLETED})}, True),
        ({"events": frozenset({ResponseStatus.FAILED})}, False),
        ({"background": True}, False),
    ],
)
def test_an_endpoint_gets_the_events_of_its_tenants_and_of_the_endings_it_wants(
    changes: dict[str, object], *, wanted: bool
) -> None:
    assert replace(ENDPOINT, **changes).wants(ENDED) is wanted


def test_an_endpoint_for_background_turns_gets_their_events() -> None:
    assert replace(ENDPOINT, background=True).wants(replace(ENDED, options=replace(ENDED.options, background=True)))


def test_delays_between_tries_grow_and_the_tries_end() -> None:
    delays = [replace(delivery_of(), tries=tries).next_delay_s() for tries in range(len(DELAYS_S) + 1)]
    assert delays.pop() is None
    for delay, planned in zip(delays, DELAYS_S, strict=True):
        assert delay is not None
        assert planned <= delay <= planned * (1 + JITTER)


def test_a_delivery_is_stored_whole() -> None:
    delivery = replace(delivery_of(), tries=3, due_at=NOW + 7)
    assert WebhookDelivery.from_document(delivery.to_document()) == delivery


def test_a_secret_is_in_no_text_of_an_endpoint() -> None:
    assert "nnnn" not in repr(ENDPOINT)


def test_a_raised_revision_or_another_address_is_another_registration() -> None:
    marks = {
        each.fingerprint for each in (ENDPOINT, replace(ENDPOINT, revision=2), replace(ENDPOINT, url="https://x/"))
    }
    assert len(marks) == 3
    assert replace(ENDPOINT, secrets=(OLD,)).fingerprint == ENDPOINT.fingerprint
