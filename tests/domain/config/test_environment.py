"""Is each variable read, and is what is wrong with it told without the secrets in it?"""

from base64 import b64encode

import pytest

from domain.config.environment import KEY_BYTES, PREFIX, EnvironmentReader
from domain.errors import ConfigurationError


def reading(**variables: str) -> EnvironmentReader:
    return EnvironmentReader({PREFIX + name: value for name, value in variables.items()})


def test_an_empty_variable_is_absent() -> None:
    one = reading(A="", B="x")
    assert (one.text("A"), one.text("B"), one.text("C")) == (None, "x", None)
    assert one.names == {PREFIX + name for name in "ABC"}


def test_a_value_is_what_is_set_or_its_default() -> None:
    one = reading(A="7")
    assert (one.value("A", convert=int, default="3"), one.value("B", convert=int, default="3")) == (7, 3)
    assert (one.optional("A", convert=int), one.optional("B", convert=int)) == (7, None)
    one.raise_problems()


def test_all_problems_are_told_at_once() -> None:
    one = reading(A="x", B="y", C="maybe", D="z")
    one.value("A", convert=int, default="3")
    one.optional("B", convert=int)
    assert one.flag("C") is False
    one.value("MISSING", convert=int)
    one.reject(True, "D", "expected nothing")
    one.reject(False, "D", "expected something")
    with pytest.raises(ConfigurationError) as caught:
        one.raise_problems()
    assert [each.partition(":")[0].partition(" ")[0] for each in caught.value.problems] == [
        PREFIX + name for name in ("A", "B", "C", "MISSING", "D")
    ]


def test_a_choice_is_one_of_the_allowed() -> None:
    one = reading(A="b", FLAG="true")
    assert (one.choice("A", ("a", "b"), default="a"), one.choice("B", ("a", "b"), default="a")) == ("b", "a")
    assert (one.flag("FLAG"), one.flag("OTHER")) == (True, False)
    assert one.problems == []
    one.choice("A", ("a",), default="a")
    assert one.problems == [f"{PREFIX}A: expected one of a, found 'b'"]


def test_a_key_has_its_length_and_is_never_told() -> None:
    key = bytes(range(KEY_BYTES))
    assert reading(KEY=b64encode(key).decode()).key("KEY") == key
    assert reading().key("KEY") is None
    for wrong in (b64encode(key[1:]).decode(), "no base64!"):
        one = reading(KEY=wrong)
        assert one.key("KEY") is None
        (problem,) = one.problems
        assert problem.startswith(f"{PREFIX}KEY: ")
        assert wrong not in problem
