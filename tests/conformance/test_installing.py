"""Does everybody get the same kits, from a registry of their own choice?"""

import json
import re

from tests.checks import every
from tests.conformance.installing import LOCKS, REQUIREMENTS
from tests.conformance.programs import PROGRAMS


def test_the_locks_name_no_place_to_download_from() -> None:
    packages = json.loads(LOCKS[1].read_text(encoding="utf-8"))["packages"]
    assert not [name for name, package in packages.items() if "resolved" in package]
    assert "://" not in REQUIREMENTS.read_text(encoding="utf-8")


def test_each_package_is_held_to_what_its_author_published() -> None:
    packages = json.loads(LOCKS[1].read_text(encoding="utf-8"))["packages"]
    assert [name for name, package in packages.items() if "integrity" not in package] == [""]
    lines = [line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if "==" in line]
    assert every(line.endswith("\\") for line in lines)


def test_the_page_can_name_the_version_of_each_kit() -> None:
    assert every(re.fullmatch(r"\S+ [\d.]+ \((Python|JavaScript)\), ", program.title) for program in PROGRAMS)
