"""Does each check of the package name its fault alone?"""

import pytest

from tests.ganglion.doctor.faults import Break, check_that_names_alone, edit
from tests.ganglion.doctor.harness import Case


def other_python(case: Case) -> None:
    case.python = (3, 12)


def missing_file(case: Case) -> None:
    (case.root / "webhooks.toml").rename(case.root / "hooks.toml")
    case.variables["GANGLION_WEBHOOKS"] = str(case.root / "hooks.toml")


FAULTS: dict[str, Break] = {
    "package.contents": missing_file,
    "package.exclusions": edit(".funcignore", "standins\n", ""),
    "package.python": other_python,
    "package.installed": edit("requirements.txt", "httpx==", "httpx==0"),
    "package.hashes": edit(
        "requirements.txt", "httpx==", "httpx-of-another-index==1.0 ; python_version < '3'\nhttpx=="
    ),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_named_by_its_check_alone(case: Case, name: str) -> None:
    assert await check_that_names_alone(case, FAULTS[name]) == name
