"""Are sizes estimated as their derivation says?"""

from copy import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.tokens.estimates import (
    TokenEstimate,
    fits,
    kv_bytes_per_token,
    kv_tokens,
    memory_gb,
    tokens_in,
    tokens_in_request,
)
from tests.domain.fleets import LARGE, SMALL, limits

PROSE = "The old man walked slowly down to the harbour, where the boats were tied up for the night. Nobody spoke. "

MEASURED = [
    ("English prose", PROSE * 20, 461),
    ("digits", "0123456789" * 200, 2000),
    ("a table", "| a | b | c |\n|---|---|---|\n" + "".join(f"| {i} | {i * i} | {i**3} |\n" for i in range(100)), 1873),
    ("Chinese", "老人慢慢地走向港口,那里的船只已经停泊过夜。没有人说话,只有海浪轻轻拍打着岸边。" * 10, 810),
    ("Arabic", "مشى الرجل العجوز ببطء إلى الميناء حيث كانت القوارب مربوطة طوال الليل. لم يتكلم أحد." * 10, 800),
    ("emoji", "😀🎉🚀❤️👍🏽🇩🇪" * 30, 750),
    ("an address", "https://example.com/a/b/c?utm_source=newsletter&id=8f3kZ9&q=Foo%20Bar " * 20, 741),
]


@pytest.mark.parametrize(("text", "counted"), [case[1:] for case in MEASURED], ids=[case[0] for case in MEASURED])
def test_what_the_tokenizer_of_smollm2_counted_is_near_the_expected_and_under_the_likely_size(
    text: str, counted: int
) -> None:
    size = tokens_in(text)
    assert 0.7 * counted <= size.expected <= 1.3 * counted
    assert counted <= size.likely


@given(st.text())
def test_the_three_figures_stand_in_order(text: str) -> None:
    size = tokens_in(text)
    assert 0 <= size.expected <= size.likely <= size.ceiling == len(text.encode())
    assert bool(size.expected) == bool(text)


@given(st.text(), st.text())
def test_more_text_is_never_smaller(one: str, other: str) -> None:
    assert tokens_in(one + other).expected >= tokens_in(one).expected
    assert tokens_in(one + other).likely >= tokens_in(one).likely


def test_half_a_surrogate_pair_has_a_size() -> None:
    assert tokens_in("\ud83d").ceiling == 3


def test_a_request_counts_its_template_and_its_messages() -> None:
    empty = tokens_in_request([])
    assert empty == TokenEstimate(expected=40, likely=40, ceiling=40)
    assert tokens_in_request(["", ""]).expected == empty.expected + 16
    assert tokens_in_request([PROSE]).ceiling == 40 + 8 + len(PROSE)


def test_the_template_of_smollm2_fits_into_what_is_added() -> None:
    counted_with_system_user_assistant_user = 29
    texts = ["s", "hi", "hi", "hi"]
    assert tokens_in_request(texts).expected >= counted_with_system_user_assistant_user


def test_the_cache_takes_two_vectors_a_layer_and_head() -> None:
    assert kv_bytes_per_token(SMALL) == 131_072
    assert kv_bytes_per_token(SMALL, value_bytes=1) == 65_536
    assert kv_bytes_per_token(LARGE) is None


def test_memory_is_weights_and_cache() -> None:
    assert memory_gb(SMALL, 8192) == pytest.approx(5.5 + 1.0737, abs=1e-3)
    assert memory_gb(LARGE, 8192) is None


@pytest.mark.parametrize(
    ("gpu_memory_gb", "tokens", "fitting"),
    [(24.0, 100_000, True), (24.0, 140_000, False), (6.0, 1, False), (None, 10**9, True)],
)
def test_a_request_fits_what_nine_tenths_of_the_gpu_hold(
    gpu_memory_gb: float | None, tokens: int, *, fitting: bool
) -> None:
    assert fits(SMALL, limits(gpu_memory_gb=gpu_memory_gb), tokens) is fitting


def test_a_model_of_unknown_shape_is_not_rejected_for_its_memory() -> None:
    assert fits(LARGE, limits(gpu_memory_gb=24), 10**9)


@pytest.mark.parametrize(("window", "tokens"), [(8192, 15_258), (20_000, 20_000)])
def test_the_memory_of_a_gpu_holds_at_least_one_context_window(window: int, tokens: int) -> None:
    """An engine does not start with less: where the formula gives less, layers with a sliding window need less."""
    bounds = replace(limits(gpu_memory_gb=8.333334), context_tokens=window)
    assert kv_tokens(replace(SMALL, context_tokens=131_072), bounds) == pytest.approx(tokens, abs=10)
    assert kv_tokens(SMALL, limits(gpu_memory_gb=6)) is None
    assert kv_tokens(LARGE, limits(gpu_memory_gb=24)) is None
