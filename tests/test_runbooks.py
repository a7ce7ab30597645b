"""Do the commands and settings of docs/runbooks.md exist?"""

import re

from settings import ROOT
from tests.checks import every

TEXT = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")


def test_each_command_of_the_operator_exists() -> None:
    called = set(re.findall(r"python -m ganglion ([a-z]+)", TEXT))
    commands = (ROOT / "ganglion" / "__main__.py").read_text() + (
        ROOT / "ganglion" / "remote" / "commands.py"
    ).read_text()
    assert called >= {"doctor", "turns", "cancel", "usage", "budgets", "fleet"}
    assert {name for name in called if f'"{name}"' not in commands} == set()


def test_each_setting_is_documented() -> None:
    documented = (ROOT / "docs" / "operations.md").read_text()
    named = set(re.findall(r"GANGLION_[A-Z_]+", TEXT))
    assert named
    assert {name for name in named if f"`{name}`" not in documented} == set()


def test_each_runbook_that_claims_a_trial_names_a_test() -> None:
    claims = re.findall(r"Tested by `([^`]+)`", TEXT)
    assert len(claims) == 5
    assert every((ROOT / each).is_file() for each in claims)
