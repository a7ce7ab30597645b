"""Can a caller's words in a quoted error ever choose the failure class?"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.config.signature_rows import anchored_form, is_anchored
from domain.fleet.failure_classes import DEFAULTS, Failure, FailureKind, FailureSignature, diagnose
from tests.checks import every
from tests.domain.fleets import SHIPPED_SYSTEMS

ROWS = [*((name, row) for name, system in SHIPPED_SYSTEMS.items() for row in system.signatures)]
QUOTED = (
    '{{"error":{{"message":"invalid value for messages[0].content: {0}","type":"invalid_request_error"}}}}',
    '{{"detail":[{{"loc":["body","messages"],"msg":"value is not valid","input":"{0}"}}]}}',
    '{{"error":"Input validation error: {0}"}}',
    "Bad request: {0}",
)
"""How model servers quote a prompt: after words of their own."""


@pytest.mark.parametrize(
    "pattern",
    [
        r"^Rate exceeded\.",
        r"(?i)^rate exceeded",
        r"\ARate exceeded\Z",
        r'^\{"error":\s*\{"message":"Inference Component has no capacity',
        r'^\{"error":\s*"Model [\w.-]+ is not ready yet',
        r'^(\{"error":(\{"code":\d+,)?"message":")?Model is not ready',
    ],
)
def test_a_pattern_that_reaches_its_words_without_free_text_is_anchored(pattern: str) -> None:
    assert is_anchored(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "has no capacity",
        "^a|b",
        "^.*",
        "^.*has no capacity",
        "(?m)^has no capacity",
        "(?s)^has no capacity",
        "(?i)(?m)^has no capacity",
        "^",
        "^has",
        "^(has no capacity|)",
        r"^\s*\w*\s*",
        "^[^x]*has no capacity",
        r"^[\S]*has no capacity",
        r"^\S+has no capacity",
        r"^\D*has no capacity",
        r"^{.*}has no capacity",
        "^(?=.*has no capacity)Something else",
        "^(.*)has no capacity",
        "^has no capacity$|x",
        r"^[\w :]*has no capacity",
        r"^(\w+\s)*has no capacity",
        r"^(\w+\s){1,9}has no capacity",
        "has no capacity^",
    ],
)
def test_a_pattern_that_free_text_can_satisfy_is_not(pattern: str) -> None:
    assert not is_anchored(pattern)


@pytest.mark.parametrize("text", ["has no capacity", "Rate exceeded.", "{a} (b) [c]", "^.*has no capacity"])
def test_the_suggested_form_is_anchored_and_matches_its_own_text(text: str) -> None:
    pattern = anchored_form(text)
    assert is_anchored(pattern) or len(text) < 12
    assert re.search(pattern, text.removeprefix("^.*"))


def test_every_pattern_of_the_built_in_table_is_anchored() -> None:
    assert every(is_anchored(row.body_pattern) for row in DEFAULTS if row.body_pattern)
    assert not any(row.body for row in DEFAULTS)


def literal_words(row: FailureSignature) -> str:
    """Return a text that the row's pattern matches, without its anchor."""
    text = re.sub(r"\(\?i\)|^\^|\\Z", "", row.body_pattern or row.body or "")
    while (shorter := re.sub(r"\((?:\?:)?([^()|]*)(?:\|[^()]*)?\)\??", r"\1", text)) != text:
        text = shorter
    text = text.replace(r"[\w.-]+", "m").replace(r"\d+", "7").replace(r"\s*", "").replace(r"[\w]+", "7")
    text = re.sub(r"\[(\w)\w+\]", r"\1", text)
    return re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)\?", "", text))


def test_the_words_of_a_row_match_it_where_the_server_says_them() -> None:
    for _, row in ROWS:
        if row.body_pattern:
            assert re.search(row.body_pattern, literal_words(row)), row.body_pattern


@pytest.mark.slow
@pytest.mark.parametrize("system", SHIPPED_SYSTEMS)
@given(
    words=st.sampled_from([literal_words(row) for _, row in ROWS if row.body_pattern])
    | st.sampled_from([literal_words(row) for row in DEFAULTS if row.body_pattern]),
    frame=st.sampled_from(QUOTED),
    before=st.text(max_size=20),
    escaped=st.booleans(),
    status=st.sampled_from([400, 403, 404, 409, 422, 429, 500, 502, 503]),
    content_type=st.sampled_from(["application/json", "text/plain"]),
)
def test_no_row_s_own_words_in_a_prompt_change_the_failure_class(
    *, system: str, words: str, frame: str, before: str, status: int, content_type: str, escaped: bool
) -> None:
    rows = SHIPPED_SYSTEMS[system].signatures
    headers = {"content-type": content_type}
    prompts = [text.replace('"', '\\"') if escaped else text for text in ("hello", f"{before}{words}")]
    found = {
        diagnose(
            Failure(kind=FailureKind.STATUS, status=status, headers=headers, body=frame.format(prompt)), rows
        ).failure_class
        for prompt in prompts
    }
    assert len(found) == 1


@pytest.mark.parametrize("system", SHIPPED_SYSTEMS)
def test_account_ids_and_console_addresses_of_an_error_are_not_in_its_reason(system: str) -> None:
    body = (
        '{"error":{"message":"Received client error (400) from primary with message. See https://us-east-1.console.aws'
        '.amazon.com/cloudwatch in account 123456789012","code":"model_error"}}'
    )
    for status in (400, 403, 424, 429, 500, 503):
        failure = Failure(kind=FailureKind.STATUS, status=status, body=body)
        reason = diagnose(failure, SHIPPED_SYSTEMS[system].signatures).reason
        assert "123456789012" not in reason
        assert "console" not in reason
