"""What of a backend's message may its caller read?"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.backend_words import WORDS_LIMIT, backend_words, words_hash
from domain.fleet.failure_classes import Failure, FailureKind


def words(body: object, kind: FailureKind = FailureKind.STATUS) -> str:
    text = body if isinstance(body, str) else json.dumps(body)
    return backend_words(Failure(kind=kind, status=400, body=text))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "Invalid schema: no type", "type": "x", "code": 400}}, "Invalid schema: no type"),
        ({"object": "error", "message": "The model does not exist.", "code": 404}, "The model does not exist."),
        ({"error": "Input validation error: `inputs` is empty"}, "Input validation error: `inputs` is empty"),
        ({"detail": [{"loc": ["body"], "msg": "field required"}, {"msg": "too long"}]}, "field required; too long"),
        ({"detail": "Not authenticated"}, "Not authenticated"),
        ([{"error": {"code": 400, "message": "Unable to submit request"}}], "Unable to submit request"),
        ({"Message": "The security token is invalid"}, "The security token is invalid"),
        ("upstream connect error", "upstream connect error"),
        ("<html><head><style>a{}</style></head><body><h1>502 Bad Gateway</h1></body></html>", "502 Bad Gateway"),
        ('{"error": {"message": "Invalid schema: the value', "Invalid schema: the value"),
        ("a\x1b[31m\r\nb\u202ec\x00", "a [31m b c"),
        ({"error": {"code": 7}}, ""),
        ("", ""),
    ],
)
def test_the_message_is_found_in_every_form(body: object, expected: str) -> None:
    assert words(body) == expected


@pytest.mark.parametrize(
    ("secret", "mask"),
    [
        ("https://10.0.0.4:8000/v1/chat?key=1", "[address]"),
        ("10.1.2.3:8080", "[address]"),
        ("fd00:1:2:3::4", "[address]"),
        ("my-gpu.europe-west4.internal", "[address]"),
        ("ops@example.com", "[address]"),
        ("123456789012", "[id]"),
        ("arn:aws:iam::123456789012:role/Ganglion", "[resource]"),
        ("/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-1", "[resource]"),
        ("projects/secret-project/locations/us", "[resource]"),
        ("11111111-2222-3333-4444-555555555555", "[id]"),
        ("org-AbCdEfGh1234", "[id]"),
        ("sk-proj-abcdefgh12345678", "[id]"),
        ("AKIAIOSFODNN7EXAMPLE", "[id]"),
        ("eyJhbGciOi.eyJzdWIi.c2ln", "[secret]"),
        ("Bearer abc.def", "[secret]"),
    ],
)
def test_addresses_accounts_and_secrets_are_masked(secret: str, mask: str) -> None:
    assert words({"error": {"message": f"no access for {secret} now"}}) == f"no access for {mask} now"


@pytest.mark.parametrize(
    "text",
    [
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.",
        "The organization of the projections and keywords is not supported: version 1.2.3 at 12:30",
        "Invalid value for 'tools[0].function.parameters.properties.user_id': expected object",
    ],
)
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert words({"error": {"message": text}}) == text


@given(st.text(max_size=3000))
def test_words_are_one_short_line(body: str) -> None:
    found = words(body)
    assert len(found) <= WORDS_LIMIT
    assert found == "" or found.isprintable()


@pytest.mark.parametrize("kind", [FailureKind.BAD_FRAME, FailureKind.FINISH_REASON, FailureKind.RESET])
def test_what_can_be_a_part_of_an_answer_is_no_message(kind: FailureKind) -> None:
    assert words('{"choices": [{"delta": {"content": "secret"}}', kind) == ""


def test_an_error_in_the_middle_of_a_stream_is_a_message() -> None:
    assert words({"error": {"message": "CUDA out of memory"}}, FailureKind.BAD_FRAME) == "CUDA out of memory"


def test_the_hash_tells_whether_two_failures_said_the_same() -> None:
    assert words_hash("a") == words_hash("a") != words_hash("b")
    assert (len(words_hash("a")), words_hash("")) == (16, "none")
