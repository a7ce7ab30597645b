"""Do the documents name only files that exist?"""

import re
from itertools import chain
from pathlib import Path

import pytest

from settings import ROOT

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs").rglob("*.md"),
    *(file for room in ("devhost", "standins", "infra") for file in (ROOT / room).glob("*.md")),
]
PRODUCT_FILE = re.compile(
    r"`((?:composition|api|activities|orchestrators|state|clients|domain|standins|tests)/[\w/]+\.\w+)`"
)
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")
WALK = re.compile(r"^\| \d+ \| ([^|]+) \|", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.relative_to(ROOT).as_posix())
def test_every_file_and_link_of_a_document_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = (document.parent / link for link in LINK.findall(text) if "://" not in link)
    named = (ROOT / name for name in PRODUCT_FILE.findall(text))
    assert [str(file) for file in chain(links, named) if not file.exists()] == []


def test_every_step_of_the_three_walks_names_a_file() -> None:
    steps = WALK.findall((ROOT / "docs/architecture.md").read_text(encoding="utf-8"))
    assert len(steps) == 19 + 12 + 12
    assert [step for step in steps if not re.search(r"`[\w/]+\.py`|`clients/storage/`", step)] == []


def test_the_module_map_has_every_package_of_the_product() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = [file.parent for file in ROOT.glob("*/__init__.py")] + [ROOT / "console", ROOT / "infra"]
    folders = [ROOT / name for name in ("api", "activities", "orchestrators", "state", "clients", "domain")]
    packages = rooms + [file.parent for folder in folders for file in folder.rglob("__init__.py")]
    assert len(packages) > 30
    assert [each for each in packages if f"`{each.relative_to(ROOT)}/`" not in text] == []


@pytest.mark.parametrize("record", sorted((ROOT / "docs/decisions").glob("*.md")), ids=lambda record: record.stem)
def test_a_decision_is_short_and_says_context_choice_and_cost(record: Path) -> None:
    lines = [line for line in record.read_text(encoding="utf-8").splitlines() if line]
    assert len(lines) <= 15
    assert [part for part in ("**Context.**", "**Choice.**", "**Cost.**") if part not in "\n".join(lines)] == []
