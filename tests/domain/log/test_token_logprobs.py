"""Are log probabilities read as servers send them, stored without loss, and cut where their text is cut?"""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.log.events import EventKind, LogEvent
from domain.log.token_logprobs import (
    LEAST_LOGPROB,
    MOST_OPTIONS,
    MOST_TOKEN_BYTES,
    TokenLogprob,
    TokenOption,
    logprobs_in,
    texts_of_tokens,
    tokens_covering,
)


def option_of(raw: bytes, number: float) -> TokenOption:
    return TokenOption(raw.decode(errors="replace"), number + 0.0, raw)


def token_of(chosen: TokenOption, rest: list[TokenOption]) -> TokenLogprob:
    return TokenLogprob(chosen=chosen, options=tuple(rest))


numbers = st.floats(max_value=0, min_value=LEAST_LOGPROB)
options = st.builds(option_of, st.binary(max_size=6), numbers)
tokens = st.builds(token_of, options, st.lists(options))


def token(text: str, logprob: float = -0.5) -> TokenLogprob:
    return TokenLogprob(chosen=TokenOption(text, logprob, text.encode()))


@given(st.lists(tokens, max_size=4).map(tuple))
def test_an_event_keeps_each_token_through_a_store(found: tuple[TokenLogprob, ...]) -> None:
    event = LogEvent(kind=EventKind.TEXT, output=1, text="x", logprobs=found)
    assert LogEvent.from_document(json.loads(json.dumps(event.to_document()))) == event


@given(tokens)
def test_the_size_of_a_token_is_a_bound_of_its_document(found: TokenLogprob) -> None:
    assert len(json.dumps(found.to_document())) <= found.size


VLLM = {"token": " a", "logprob": -0.25, "bytes": [32, 97], "top_logprobs": [{"token": " a", "logprob": -0.25}]}
LLAMA: dict[str, Any] = {
    "id": 118,
    "token": "\U0001f368",
    "bytes": [240, 159, 141, 168],
    "logprob": -2.25,
    "top_logprobs": [{"id": 118, "token": "\ufffd", "bytes": [168], "logprob": -2.25}],
}
"""A frame of llama.cpp for the last byte of a character: it names the whole character, and the byte as an option."""


def test_the_tokens_of_vllm_and_llama_cpp_are_read() -> None:
    first, second = logprobs_in({"logprobs": {"content": [VLLM, LLAMA]}})
    assert first == TokenLogprob(chosen=TokenOption(" a", -0.25, b" a"), options=(TokenOption(" a", -0.25, b" a"),))
    assert second.chosen == TokenOption("\U0001f368", -2.25, "\U0001f368".encode())
    assert second.options == (TokenOption("\ufffd", -2.25, b"\xa8"),)


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        [],
        "none",
        {},
        {"content": None},
        {"content": {"token": "a"}},
        {"content": [None]},
        {"content": [{"token": "a"}]},
        {"content": [{"token": "a", "logprob": "-1"}]},
        {"content": [{"token": "a", "logprob": math.nan}]},
        {"content": [{"token": "a", "logprob": math.inf}]},
        {"content": [{"token": "a", "logprob": 10**400}]},
        {"content": [{"token": "a", "logprob": -1, "bytes": [256]}]},
        {"content": [{"token": "a", "logprob": -1, "bytes": "a"}]},
        {"content": [{"token": "a", "logprob": -1, "top_logprobs": {"a": 1}}]},
        {"content": [VLLM, {"token": "a" * (MOST_TOKEN_BYTES + 1), "logprob": -1}]},
    ],
)
def test_what_is_malformed_is_as_missing(logprobs: Any) -> None:
    assert logprobs_in({"logprobs": logprobs}) == ()


def test_a_probability_of_zero_and_a_long_list_are_bounded() -> None:
    for least in (-math.inf, -(10**400)):
        body = {"token": "a", "logprob": least, "top_logprobs": [{"token": "b", "logprob": -0.0}] * 50}
        [found] = logprobs_in({"logprobs": {"content": [body]}})
        assert found.chosen.logprob == LEAST_LOGPROB
    assert len(found.options) == MOST_OPTIONS
    assert math.copysign(1, found.options[0].logprob) == 1


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("c", 1), ("bc", 1), ("abc", 2), ("abcd", 3), (" longer than all of them", 3)]
)
def test_the_tokens_at_the_end_cover_a_text(text: str, count: int) -> None:
    found = (token("x"), token("a"), token("bc"))
    assert tokens_covering(found, text) == found[len(found) - count :]


def test_a_text_is_cut_into_its_tokens_and_never_within_a_character() -> None:
    halves = [TokenLogprob(chosen=TokenOption("\ufffd", -1, part)) for part in (b"\xc3", b"\xa9")]
    found = (token("caf"), *halves, token("s"))
    assert [(text, len(part)) for text, part in texts_of_tokens("cafés", found)] == [("caf", 1), ("é", 2), ("s", 1)]


def test_a_text_that_is_not_that_of_its_tokens_stays_whole() -> None:
    assert texts_of_tokens("two words", (token("words"),)) == [("two words", (token("words"),))]


def test_what_no_document_has_room_for_is_left_out() -> None:
    many = (token("a" * 1000),) * 300
    assert texts_of_tokens("another text", many) == [("another text", ())]
