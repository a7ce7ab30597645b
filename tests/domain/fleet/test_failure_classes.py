"""Does each failure mean what its table says?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.config.fleet_toml import fleet_from_toml
from domain.fleet.failure_classes import Failure, FailureClass, FailureKind, FailureSignature, diagnose
from tests.domain.fleets import CLOUDS, LAPTOP, SHIPPED_PRICES, SHIPPED_SYSTEMS, shipped_text

FRONT_END = {"Server": "Google Frontend", "Content-Type": "text/plain; charset=utf-8"}
APPLICATION = {"Server": "Google Frontend", "Content-Type": "application/json"}
SHIPPED = fleet_from_toml(shipped_text("fleet.toml"), {**LAPTOP, **CLOUDS}, SHIPPED_PRICES, SHIPPED_SYSTEMS)


def answered(status: int, body: str = "", headers: dict[str, str] | None = None, *, text: bool = False) -> Failure:
    return Failure(kind=FailureKind.STATUS, status=status, headers=headers, body=body, text_received=text)


@pytest.mark.parametrize(
    ("status", "failure_class"),
    [
        (400, FailureClass.CLIENT),
        (401, FailureClass.BROKEN),
        (402, FailureClass.CLIENT),
        (403, FailureClass.BROKEN),
        (404, FailureClass.BROKEN),
        (408, FailureClass.INDETERMINATE),
        (409, FailureClass.BROKEN),
        (413, FailureClass.UNFIT),
        (422, FailureClass.CLIENT),
        (424, FailureClass.BROKEN),
        (429, FailureClass.THROTTLED),
        (500, FailureClass.BROKEN),
        (502, FailureClass.BROKEN),
        (503, FailureClass.BROKEN),
        (504, FailureClass.INDETERMINATE),
        (529, FailureClass.THROTTLED),
        (302, FailureClass.BROKEN),
    ],
)
def test_a_status_that_no_row_knows_is_read_by_the_default_table(status: int, failure_class: FailureClass) -> None:
    assert diagnose(answered(status), ()).failure_class is failure_class


@pytest.mark.parametrize(
    ("kind", "failure_class"),
    [
        (FailureKind.REFUSED, FailureClass.BROKEN),
        (FailureKind.CONNECT_TIMEOUT, FailureClass.BROKEN),
        (FailureKind.WRONG_CONTENT_TYPE, FailureClass.BROKEN),
        (FailureKind.FINISH_REASON, FailureClass.BROKEN),
        (FailureKind.RESET, FailureClass.INDETERMINATE),
        (FailureKind.READ_TIMEOUT, FailureClass.INDETERMINATE),
        (FailureKind.BAD_FRAME, FailureClass.INDETERMINATE),
        (FailureKind.TRUNCATED, FailureClass.INDETERMINATE),
    ],
)
def test_a_broken_connection_is_read_by_its_kind(kind: FailureKind, failure_class: FailureClass) -> None:
    assert diagnose(Failure(kind=kind), ()).failure_class is failure_class


@pytest.mark.parametrize(
    ("backend", "failure", "failure_class"),
    [
        ("cloud-run-l4", answered(429, "Rate exceeded.", FRONT_END), FailureClass.COLD),
        ("cloud-run-l4", answered(429, '{"error": "too many"}', APPLICATION), FailureClass.THROTTLED),
        ("cloud-run-l4", answered(500, "no available instance", FRONT_END), FailureClass.COLD),
        ("cloud-run-l4", answered(500, '{"error": "engine died"}', APPLICATION), FailureClass.BROKEN),
        ("cloud-run-l4", answered(503, "Service Unavailable", FRONT_END), FailureClass.COLD),
        ("cloud-run-l4", answered(504, "upstream request timeout", FRONT_END), FailureClass.INDETERMINATE),
        ("laptop-small", answered(503, '{"error":{"message":"Loading model"}}'), FailureClass.COLD),
        ("laptop-small", answered(503, '{"error":{"message":"no slot"}}'), FailureClass.BROKEN),
        ("laptop-small", answered(400, '{"error":{"type":"exceed_context_size_error"}}'), FailureClass.UNFIT),
        (
            "cloud-run-l4",
            answered(400, '{"object":"error","message":"This model\'s maximum context length is 16384 tokens."'),
            FailureClass.UNFIT,
        ),
        ("azure-openai", answered(400, '{"error":{"code":"context_length_exceeded"}}'), FailureClass.UNFIT),
        ("azure-openai", answered(400, '{"error":{"code":"content_filter"}}'), FailureClass.CLIENT),
        ("azure-openai", answered(429, "", {"retry-after-ms": "250"}), FailureClass.THROTTLED),
    ],
)
def test_the_shipped_rows_tell_a_cold_start_from_a_full_quota_and_from_a_fault(
    backend: str, failure: Failure, failure_class: FailureClass
) -> None:
    assert diagnose(failure, SHIPPED.backends[backend].signatures).failure_class is failure_class


CAPACITY = r'^\{"error":\{"message":"Inference Component has no capacity'
NOT_READY = {"x-amzn-errortype": "ModelNotReadyException:http://internal.amazon.com/"}

OTHER_SYSTEMS = (
    FailureSignature(failure_class=FailureClass.COLD, statuses=(400,), body_pattern=CAPACITY, note="scaling up"),
    FailureSignature(
        failure_class=FailureClass.COLD, statuses=(429,), headers=("x-amzn-errortype: ModelNotReady",), note="loading"
    ),
    FailureSignature(
        failure_class=FailureClass.COLD, statuses=(303,), headers=("location",), note="the answer waits elsewhere"
    ),
    FailureSignature(
        failure_class=FailureClass.THROTTLED, kinds=(FailureKind.REFUSED,), delay_s=7, note="one at a time"
    ),
)


@pytest.mark.parametrize(
    ("failure", "failure_class"),
    [
        (answered(400, '{"error":{"message":"Inference Component has no capacity to serve"}}'), FailureClass.COLD),
        (answered(400, "ValidationError: no such parameter"), FailureClass.CLIENT),
        (answered(429, "", NOT_READY), FailureClass.COLD),
        (answered(429, '{"__type":"ThrottlingException"}'), FailureClass.THROTTLED),
        (answered(303, "", {"Location": "https://example.com/result"}), FailureClass.COLD),
        (Failure(kind=FailureKind.REFUSED), FailureClass.THROTTLED),
    ],
)
def test_rows_can_say_what_other_systems_answer(failure: Failure, failure_class: FailureClass) -> None:
    assert diagnose(failure, OTHER_SYSTEMS).failure_class is failure_class


@pytest.mark.parametrize(
    ("headers", "delay_s"),
    [
        ({"Retry-After": "12"}, 12.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"x-ms-retry-after-ms": "1500", "retry-after": "60"}, 1.5),
        ({"Retry-After": "Sun, 22 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Sunday, 22-Nov-26 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Sun Nov 22 12:00:30 2026"}, 30.0),
        ({"Retry-After": "Sun, 22 Nov 2026 12:00:30 -0000"}, 30.0),
        ({"Retry-After": "Sun, 22 Nov 2026 14:00:30 +0200"}, 30.0),
        ({"Retry-After": "Sun, 22 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "Sun, 22 Nov 2099 11:00:00 GMT"}, 86_400.0),
        ({"Retry-After": "Sun, 99 Nov 2026 11:00:00 GMT"}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 7 "}, 7.0),
        ({"Retry-After": "99999999999"}, 86_400.0),
        ({"Retry-After": "9" * 400}, 86_400.0),
        ({"Retry-After": "1e3"}, None),
        ({"Retry-After": "1_0"}, None),
        ({"Retry-After": "\uff11\uff12"}, None),
        ({"Retry-After": ""}, None),
        ({"retry-after-ms": "9" * 400}, 86_400.0),
        ({"retry-after-ms": "1.5"}, 0.0015),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-4"}, None),
        ({"Retry-After": "inf"}, None),
        ({"retry-after-ms": "nan", "retry-after": "3"}, 3.0),
        ({}, None),
    ],
)
def test_the_delay_that_an_answer_names_is_honoured(headers: dict[str, str], delay_s: float | None) -> None:
    noon = 1795348800.0
    assert diagnose(answered(429, "", headers), (), now=noon).delay_s == delay_s


def test_a_date_is_no_delay_without_a_clock() -> None:
    assert diagnose(answered(429, "", {"Retry-After": "Sun, 22 Nov 2026 12:00:30 GMT"}), ()).delay_s is None


def test_a_row_s_own_delay_holds_where_the_answer_names_none() -> None:
    refused = Failure(kind=FailureKind.REFUSED)
    assert diagnose(refused, OTHER_SYSTEMS).delay_s == 7
    assert diagnose(Failure(kind=FailureKind.REFUSED, headers={"retry-after": "2"}), OTHER_SYSTEMS).delay_s == 2


def test_a_503_that_names_a_delay_is_a_full_house_not_a_fault() -> None:
    assert diagnose(answered(503, "", {"Retry-After": "2"}), ()).failure_class is FailureClass.THROTTLED


def test_a_backend_whose_text_was_coming_is_not_cold() -> None:
    rows = SHIPPED.backends["cloud-run-l4"].signatures
    assert diagnose(answered(429, "Rate exceeded.", FRONT_END, text=True), rows).failure_class is FailureClass.THROTTLED


def test_only_the_beginning_of_a_body_is_looked_at() -> None:
    rows = (FailureSignature(failure_class=FailureClass.COLD, statuses=(503,), body="no capacity", note="scaling up"),)
    assert diagnose(answered(503, "x" * 2000 + "no capacity"), rows).failure_class is FailureClass.COLD
    assert diagnose(answered(503, "x" * 3000 + "no capacity"), rows).failure_class is FailureClass.BROKEN


def test_the_reason_says_what_was_seen_and_what_it_means() -> None:
    found = diagnose(answered(429, "Rate exceeded.", FRONT_END), SHIPPED.backends["cloud-run-l4"].signatures)
    assert found.reason == "status 429: no instance took the request in time; one is starting"
    reset = diagnose(Failure(kind=FailureKind.RESET, text_received=True), ())
    assert reset.reason == "reset in mid-answer: the connection broke after the request was sent"


@given(
    kind=st.sampled_from(FailureKind),
    status=st.integers(min_value=100, max_value=599),
    body=st.text(max_size=50),
    headers=st.dictionaries(st.text(max_size=15), st.text(max_size=30), max_size=4),
    text_received=st.booleans(),
)
def test_every_failure_has_a_diagnosis_and_no_delay_is_negative(
    kind: FailureKind, status: int, body: str, headers: dict[str, str], *, text_received: bool
) -> None:
    failure = Failure(
        kind=kind,
        status=status if kind is FailureKind.STATUS else None,
        headers=headers,
        body=body,
        text_received=text_received,
    )
    found = diagnose(failure, OTHER_SYSTEMS, now=0.0)
    assert found.reason
    assert found.delay_s is None or found.delay_s >= 0
    assert not (text_received and found.failure_class is FailureClass.COLD)
