"""Are arguments checked against a tool's schema, and is each problem named for the model?"""

from typing import Any

import pytest

from domain.tools.arguments import argument_problem, parsed_arguments

SCHEMA = {
    "type": "object",
    "properties": {
        "number": {"type": "string", "minLength": 2, "maxLength": 6},
        "amount": {"type": "number", "minimum": 0, "maximum": 100},
        "count": {"type": "integer"},
        "urgent": {"type": "boolean"},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "lines": {"type": "array", "maxItems": 2, "items": {"type": "object", "properties": {"x": {"type": "null"}}}},
        "fixed": {"type": "integer", "const": 1},
    },
    "required": ["number"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "value",
    [
        {"number": "A-1"},
        {"number": "A-1", "amount": 0, "count": 2.0, "urgent": False, "kind": "b", "fixed": 1},
        {"number": "A-1", "lines": [{"x": None}, {}]},
    ],
)
def test_good_arguments_have_no_problem(value: Any) -> None:
    assert argument_problem(value, SCHEMA) == ""


WRONG: list[tuple[Any, str]] = [
    ({}, "number: required, but missing"),
    ({"number": 1}, "number: expected string"),
    ({"number": "A"}, "number: expected at least 2 characters"),
    ({"number": "A-10001"}, "number: expected at most 6 characters"),
    ({"number": "A-1", "amount": -1}, "amount: expected a number of at least 0"),
    ({"number": "A-1", "amount": 101}, "amount: expected a number of at most 100"),
    ({"number": "A-1", "amount": True}, "amount: expected number"),
    ({"number": "A-1", "amount": float("nan")}, "amount: expected number"),
    ({"number": "A-1", "amount": 1e999}, "amount: expected number"),
    ({"number": "A-1", "count": 1.5}, "count: expected integer"),
    ({"number": "A-1", "urgent": 1}, "urgent: expected boolean"),
    ({"number": "A-1", "kind": "c"}, 'kind: expected one of ["a", "b"]'),
    ({"number": "A-1", "fixed": 2}, "fixed: expected 1"),
    ({"number": "A-1", "lines": [{}, {}, {}]}, "lines: expected at most 2 items"),
    ({"number": "A-1", "lines": [{"x": 1}]}, "lines[0].x: expected null"),
    ([], "the arguments: expected object"),
]


@pytest.mark.parametrize(("value", "problem"), WRONG)
def test_a_problem_names_its_argument_and_what_is_expected(value: Any, problem: str) -> None:
    assert argument_problem(value, SCHEMA) == problem


def test_an_unknown_argument_is_named_with_the_known_ones() -> None:
    assert argument_problem({"number": "A-1", "nr": 1}, SCHEMA).startswith("nr: not an argument of this tool; it has n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ('{"a": 1}', {"a": 1}),
        ("[]", "the arguments are not a JSON object"),
        ("{", "the arguments are not valid JSON"),
        ('{"a": NaN}', "the arguments are not valid JSON"),
        ("[" * 100_000, "the arguments are not valid JSON"),
        (
            '{"a": "\\ud800"}',
            "the arguments have a lone surrogate, which is half a character, or a number that is too large",
        ),
        (
            '{"a": 1e999}',
            "the arguments have a lone surrogate, which is half a character, or a number that is too large",
        ),
        ('{"a": ' + "[" * 64 + "]" * 64 + "}", "the arguments are nested in more than 64 levels"),
    ],
)
def test_arguments_are_read_from_a_models_text(text: str, expected: Any) -> None:
    assert parsed_arguments(text) == expected
