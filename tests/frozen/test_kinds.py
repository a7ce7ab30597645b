"""Is there a frozen document of every kind that the code stores?"""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

from clients.storage.port import Container
from tests.frozen.documents import frozen, frozen_names

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("domain", "state", "clients", "activities")


def kind_of(module: str, value: ast.expr) -> str | None:
    """Return the kind that an expression names: a literal, or a constant of its module."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.Name):
        constant = getattr(importlib.import_module(module), value.id, None)
        return constant if isinstance(constant, str) else None
    return None


def kinds_in(file: Path) -> Iterator[str]:
    module, text = ".".join(file.relative_to(ROOT).with_suffix("").parts), file.read_text(encoding="utf-8")
    if '"kind":' not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Dict):
            continue
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "kind":
                found = kind_of(module, value)
                if found:
                    yield found


def written_kinds() -> set[str]:
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return {kind for file in files for kind in kinds_in(file)}


def test_every_kind_that_is_written_is_frozen_and_no_other() -> None:
    bodies = [frozen(container, name).body for container in Container for name in frozen_names(container)]
    assert written_kinds() == {body["kind"] for body in bodies}


def test_every_frozen_document_has_the_first_version() -> None:
    for container in Container:
        for name in frozen_names(container):
            assert frozen(container, name).body["v"] == 1, name
