"""Is a program that fails or is missing named?"""

import pytest

from scripts.deployment.commands import DeploymentError, run


def test_a_program_that_fails_or_is_missing_is_named() -> None:
    with pytest.raises(DeploymentError, match=r"failed: no$"):
        run("sh", "-c", "echo no >&2; exit 3")
    with pytest.raises(DeploymentError, match="no-such-program is not installed"):
        run("no-such-program")
    assert run("sh", "-c", "exit 3", succeeds=False) == ""
