"""Does everybody get the same kits, from a registry of their own choice?"""

import json
import re
from pathlib import Path

import pytest

from tests.checks import every
from tests.conformance.installing import (
    AZURITE_LOCKS,
    CODEX_LOCKS,
    FRAMEWORK_REQUIREMENTS,
    KUSTO_LOCKS,
    LOCKS,
    QUERY_REQUIREMENTS,
    REQUIREMENTS,
)
from tests.conformance.programs import FRAMEWORK_PROGRAMS, PROGRAMS

LOCK_FILES = (LOCKS[1], CODEX_LOCKS[1], KUSTO_LOCKS[1], AZURITE_LOCKS[1])
REQUIREMENT_FILES = (REQUIREMENTS, FRAMEWORK_REQUIREMENTS, QUERY_REQUIREMENTS)


@pytest.mark.parametrize("lock", LOCK_FILES, ids=lambda lock: lock.parent.name)
def test_the_locks_name_no_place_to_download_from(lock: Path) -> None:
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    assert not [name for name, package in packages.items() if "resolved" in package]


@pytest.mark.parametrize("lock", REQUIREMENT_FILES, ids=lambda lock: lock.parent.name)
def test_the_requirements_name_no_place_and_each_has_hashes(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert every(line.endswith("\\") for line in text.splitlines() if "==" in line)


@pytest.mark.parametrize("lock", LOCK_FILES, ids=lambda lock: lock.parent.name)
def test_each_package_is_held_to_what_its_author_published(lock: Path) -> None:
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    assert [name for name, package in packages.items() if "integrity" not in package] == [""]


def test_the_page_can_name_the_version_of_each_kit() -> None:
    titled = (*PROGRAMS, *FRAMEWORK_PROGRAMS)
    assert every(re.fullmatch(r"\S+ [\d.]+ \((Python|JavaScript)\), ", program.title) for program in titled)
