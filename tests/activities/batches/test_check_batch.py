"""What is known of an input file after each of its lines?"""

from decimal import Decimal

from activities.batches.check_batch import MESSAGE_CHARACTERS, CheckedInput
from activities.batches.ports import CheckedLine, LineMistake


def line(name: str, model: str = "small") -> CheckedLine:
    return CheckedLine(custom_id=name, model=model, worst_cost=Decimal("0.5"), input_tokens=10, output_tokens=20)


def taken(*found: CheckedLine | LineMistake) -> CheckedInput:
    checked = CheckedInput()
    for number, each in enumerate(found, start=1):
        checked.number = number
        checked.take(each)
    return checked


def test_costs_and_tokens_of_right_lines_are_summed() -> None:
    found = taken(line("a"), line("b"), LineMistake(code="invalid_json", message="no JSON"), line("c"))
    assert (found.worst_cost, found.input_tokens, found.output_tokens) == (Decimal("1.5"), 30, 60)
    assert found.errors == [{"code": "invalid_json", "line": 3, "message": "no JSON", "param": None}]


def test_a_name_that_occurs_again_is_reported_at_each_of_its_later_lines() -> None:
    found = taken(line("a"), line("b"), line("a"), line("a"))
    assert [(each["code"], each["line"], each["param"]) for each in found.errors] == [
        ("duplicate_custom_id", 3, "custom_id"),
        ("duplicate_custom_id", 4, "custom_id"),
    ]


def test_names_that_no_encoding_has_are_told_apart() -> None:
    assert taken(line("\ud800"), line("\ud801")).errors == []
    assert len(taken(line("\ud800"), line("\ud800")).errors) == 1


def test_two_models_are_enough_to_know_that_there_is_not_one() -> None:
    assert taken(line("a"), line("b")).models == {"small"}
    assert taken(*(line(name, model=name) for name in "abcd")).models == {"a", "b"}


def test_a_long_message_is_cut_and_a_mistake_of_the_file_has_no_line() -> None:
    found = CheckedInput()
    found.report(LineMistake(code="empty_file", message="x" * 1000, param="input_file_id"), None)
    assert found.errors == [
        {"code": "empty_file", "line": None, "message": "x" * MESSAGE_CHARACTERS, "param": "input_file_id"}
    ]
