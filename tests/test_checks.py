"""Does a check of every item fail for an empty list?"""

import ast
from pathlib import Path

import pytest

from tests.checks import every

FOLDER = Path(__file__).parent
KITS = FOLDER / "conformance/kits"
"""Programs of other projects' SDKs, which import nothing of ours."""


def test_every_result_that_is_true_passes() -> None:
    assert every(number > 0 for number in (1, 2, 3))


def test_an_empty_list_fails_because_it_proves_nothing() -> None:
    with pytest.raises(AssertionError, match="nothing to check"):
        every(number > 0 for number in ())


def test_a_failure_names_the_items_that_fail() -> None:
    with pytest.raises(AssertionError, match=r"items \[1, 2\] of 3"):
        every(number > 1 for number in (2, 1, 0))


def test_no_test_asserts_all_of_a_list_that_may_be_empty() -> None:
    files = [file for file in FOLDER.rglob("*.py") if not file.is_relative_to(KITS)]
    assert len(files) > 400
    assert [where for file in files for where in unguarded(file)] == []


def unguarded(file: Path) -> list[str]:
    """Return the lines that assert `all(…)`: `every(…)` rejects an empty list. `# may be empty: why` permits it."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    asserts = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Assert)] if "all(" in text else []
    found = (each for each in asserts if any(is_all(node) for node in ast.walk(each.test)))
    return [f"{file}:{each.lineno}" for each in found if not is_permitted(lines[each.lineno - 1 : each.end_lineno])]


def is_all(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "all"


def is_permitted(lines: list[str]) -> bool:
    return "# may be empty: " in "".join(lines)
