"""Does a model read each result behind the calls that were made together with its own?"""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content.call_pairs import results_behind_calls
from domain.content.items import Item, ItemKind, Role


def item(short: str) -> Item:
    """Return a call (`a`), its result (`A`), a message of the user (`?`) or of the model (`!`), or reasoning (`*`)."""
    if short.islower():
        return Item(id=short, kind=ItemKind.FUNCTION_CALL, name="f", call_id=short, text="{}")
    if short.isupper():
        return Item(id=short, kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, call_id=short.lower(), text="done")
    if short == "*":
        return Item(id=short, kind=ItemKind.REASONING, text="hm")
    return Item(id=short, role=Role.USER if short == "?" else Role.ASSISTANT, text="well")


def read(shorts: str) -> str:
    return "".join(each.id for each in results_behind_calls([item(short) for short in shorts]))


@pytest.mark.parametrize(
    "order", ["", "?", "?aA!", "?abAB!", "?abBA", "?*aA*bB!", "?a*bAB!", "?aA?aA!", "?!aA", "A?", "?ab"]
)
def test_results_behind_their_calls_stay_where_they_are(order: str) -> None:
    assert read(order) == order


@pytest.mark.parametrize(
    ("sent", "order"),
    [
        ("?a?A!", "?aA?!"),
        ("?a!A", "?aA!"),
        ("?ab?B?A", "?abBA??"),
        ("?a?bAB", "?aA?bB"),
        ("?aA?a?A", "?aA?aA?"),
        ("?a*?A", "?a*A?"),
    ],
)
def test_a_late_result_is_moved_behind_its_calls(sent: str, order: str) -> None:
    assert read(sent) == order


@given(st.text(alphabet="abAB?!*", max_size=12))
def test_nothing_is_lost_and_nothing_but_reasoning_lies_between(sent: str) -> None:
    found = read(sent)
    assert Counter(found) == Counter(sent)
    assert read(found) == found
    called: set[str] = set()
    for before, short in pairwise(f" {found}"):
        if short.isupper() and short.lower() in called:
            assert before.isalpha() or before == "*"
        called |= {short} if short.islower() else set()
