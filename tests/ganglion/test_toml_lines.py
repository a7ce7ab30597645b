"""Does a finding of a TOML file name the line of its field?"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from ganglion.toml_lines import line_of
from settings import ROOT

TEXT = """# models
[models."gpt-4.1"]
tier = 3

[backends.one]
model = "gpt-4.1"
limits = { context_tokens = 1, concurrency = 2 }
cold.p99_s = 3

[backends.one-more]
model = 'x'
"""


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        ("models.gpt-4.1.tier: expected a number, found 'x'", 3),
        ("models.gpt-4.1.weights_gb: expected a number, found nothing", 2),
        ("backends.one.model: no such model", 6),
        ("backends.one.limits.concurrency: expected a number", 7),
        ("backends.one.cold.p99_s: expected seconds", 8),
        ("backends.one.cold.p50_s: expected seconds", 5),
        ("backends.one-more.model: no such model", 11),
        ("backends.two: missing", None),
        ("Invalid TOML", None),
    ],
)
def test_the_line_is_that_of_the_longest_known_part_of_the_path(problem: str, line: int | None) -> None:
    assert line_of(TEXT, problem) == line


def paths(table: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the path of each value that is no table."""
    for key, value in table.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            yield from paths(cast("dict[str, Any]", value), path)
        else:
            yield path


@pytest.mark.parametrize("file", sorted(ROOT.glob("*.toml")), ids=lambda file: file.name)
def test_every_field_of_our_files_is_found_in_a_line_that_names_it(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    for path in paths(tomllib.loads(text)):
        line = line_of(text, f"{path}: wrong")
        assert line is not None, path
        assert any(part in lines[line - 1] for part in path.split(".")), path
