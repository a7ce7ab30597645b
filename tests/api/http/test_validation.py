"""Does a wrong value become an error that names its field, its expected type and its code?"""

import json
from typing import Any, ClassVar

import pytest
from pydantic import Field

from api.http.validation import JSON_TYPES, RequestPart, validated, wrong_type
from domain.errors import Invalid


class Inner(RequestPart):
    count: int


class Part(RequestPart):
    name: str
    size: float | None = None
    is_new: bool = False
    inner: Inner | None = None
    many: list[Inner] = Field(default_factory=list[Inner], max_length=2)


class Strict(RequestPart):
    null_is_absent: ClassVar[bool] = False
    name: str = ""


WRONG: list[tuple[Any, str, str, str]] = [
    ({}, "at[0].name", "missing_required_parameter", "Missing required parameter"),
    ({"name": None}, "at[0].name", "missing_required_parameter", "Missing required parameter"),
    ({"name": 1}, "at[0].name", "invalid_type", "expected a string, but got an integer instead"),
    ({"name": "a", "size": "1"}, "at[0].size", "invalid_type", "expected a number, but got a string instead"),
    ({"name": "a", "is_new": 1}, "at[0].is_new", "invalid_type", "expected a boolean, but got an integer instead"),
    ({"name": "a", "inner": []}, "at[0].inner", "invalid_type", "expected an object, but got an array instead"),
    ({"name": "a", "inner": {}}, "at[0].inner.count", "missing_required_parameter", "Missing required parameter"),
    ({"name": "a", "many": {}}, "at[0].many", "invalid_type", "expected an array, but got an object instead"),
    ({"name": "a", "many": [{"count": 1}, None]}, "at[0].many[1]", "invalid_type", "an object, but got null instead"),
    ({"name": "a", "many": [{"count": True}]}, "at[0].many[0].count", "invalid_type", "but got a boolean instead"),
    ({"name": "a", "many": [{"count": 1}] * 3}, "at[0].many", "invalid_value", "at most 2 items"),
    (None, "at[0]", "invalid_type", "expected an object, but got null instead"),
]


@pytest.mark.parametrize(("value", "field", "code", "says"), WRONG)
def test_the_first_wrong_field_is_named(value: Any, field: str, code: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        validated(Part, value, "at", 0)
    assert (caught.value.field, caught.value.code) == (field, code)
    assert says in str(caught.value)
    assert str(caught.value).endswith(".")


def test_null_is_the_same_as_an_absent_field_and_others_are_passed_over() -> None:
    assert validated(Part, {"name": "a", "size": None, "inner": None, "other": 1}) == Part(name="a")


def test_a_part_may_tell_null_from_an_absent_field() -> None:
    with pytest.raises(Invalid) as caught:
        validated(Strict, {"name": None})
    assert (caught.value.field, caught.value.code) == ("name", "invalid_type")


@pytest.mark.parametrize(
    ("value", "kind"),
    [("a", "a string"), (1, "an integer"), (1.5, "a number"), (True, "a boolean"), ({}, "an object"), ([], "an array")],
)
def test_a_type_has_its_json_name(value: Any, kind: str) -> None:
    assert str(wrong_type("x", "null", value)) == f"Invalid type for 'x': expected null, but got {kind} instead."


def test_every_json_type_has_a_name() -> None:
    values: Any = json.loads('["", 1, 1.5, true, {}, [], null]')
    assert {type(each).__name__ for each in values} == set(JSON_TYPES)
