"""What do the reserved keys of `metadata` mean, and which of their values is refused by name?"""

from collections.abc import Callable, Mapping

import pytest

from api.parsing.reserved_metadata import (
    LONGEST_S,
    OnRunning,
    approval_wait_of,
    cache_age_of,
    cancels_on_disconnect,
    on_running_of,
)
from domain.errors import Invalid


def test_without_keys_a_turn_rejects_goes_on_waits_for_nobody_and_takes_no_cached_answer() -> None:
    assert on_running_of({}) is OnRunning.REJECT
    assert not cancels_on_disconnect({})
    assert approval_wait_of({}, background=False) == 0.0
    assert cache_age_of({}) is None


@pytest.mark.parametrize("known", OnRunning)
def test_each_way_to_meet_another_turn_has_its_word(known: OnRunning) -> None:
    assert on_running_of({"on_running": known.value}) is known


def test_a_caller_that_hangs_up_cancels_where_it_says_so() -> None:
    assert cancels_on_disconnect({"on_disconnect": "cancel"})
    assert not cancels_on_disconnect({"on_disconnect": "continue"})


def waits(metadata: Mapping[str, str]) -> float:
    return approval_wait_of(metadata, background=True)


@pytest.mark.parametrize(("key", "read"), [("approval_wait_s", waits), ("cache_s", cache_age_of)])
def test_seconds_are_whole_numbers_up_to_thirty_days(
    key: str, read: Callable[[Mapping[str, str]], float | None]
) -> None:
    assert read({key: "1"}) == 1.0
    assert read({key: str(LONGEST_S)}) == 2_592_000.0
    for wrong in ("0", str(LONGEST_S + 1), "-1", "1.5", "1e3", "", " 1", "٣", "²", "1" * 5000):
        with pytest.raises(Invalid, match="from 1 to 2592000, as a string") as caught:
            read({key: wrong})
        assert (caught.value.field, caught.value.code) == (f"metadata.{key}", "invalid_value")


def test_a_turn_waits_for_approvals_in_the_background_alone() -> None:
    with pytest.raises(Invalid, match="needs 'background': true") as caught:
        approval_wait_of({"approval_wait_s": "60"}, background=False)
    assert caught.value.field == "metadata.approval_wait_s"


@pytest.mark.parametrize(
    ("key", "read", "words"),
    [
        ("on_running", on_running_of, "reject, queue, cancel"),
        ("on_disconnect", cancels_on_disconnect, "continue, cancel"),
    ],
)
def test_an_unknown_word_is_refused_with_the_known_ones(
    key: str, read: Callable[[Mapping[str, str]], object], words: str
) -> None:
    for wrong in ("", "Cancel", "wait"):
        with pytest.raises(Invalid, match=words) as caught:
            read({key: wrong})
        assert (caught.value.field, caught.value.code) == (f"metadata.{key}", "invalid_value")
