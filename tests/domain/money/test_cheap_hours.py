"""Which hours are cheap, by the file of the prices?"""

import pytest

from domain.config.prices_toml import cheap_hours_from_toml
from domain.errors import ConfigurationError
from domain.money.cheap_hours import HOUR_S, CheapHours

DAY_S = 24 * HOUR_S


def test_a_file_names_the_cheap_hours_and_by_default_none() -> None:
    assert cheap_hours_from_toml("[hours]\ncheap = [0, 23]") == CheapHours(frozenset({0, 23}))
    assert cheap_hours_from_toml("") == CheapHours()


@pytest.mark.parametrize("text", ["cheap = [24]", "cheap = [-1]", "cheap = ['night']", "cheap = 3", "cheep = [1]"])
def test_a_mistake_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"hours\.che"):
        cheap_hours_from_toml(f"[hours]\n{text}")


def test_an_hour_ends_where_the_next_begins() -> None:
    night = CheapHours(frozenset({23, 0}))
    assert [night.include(DAY_S + hour * HOUR_S) for hour in (22.99, 23, 23.99, 24.5, 25)] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert night.next_after(DAY_S + 5 * HOUR_S) == DAY_S + 23 * HOUR_S
    assert night.next_after(DAY_S + 23.5 * HOUR_S) == 2 * DAY_S
    assert CheapHours().next_after(0.0) is None
