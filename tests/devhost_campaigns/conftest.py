"""Which random seed does each campaign use?"""

import os
import secrets
from random import Random

import pytest

SEED = os.environ.get("TEST_SEED") or str(secrets.randbelow(10**9))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"devhost campaigns: TEST_SEED={SEED}")


@pytest.fixture
def random(request: pytest.FixtureRequest) -> Random:
    """Draws the same for the same test and seed."""
    return Random(f"{SEED}/{request.node.nodeid}")  # noqa: S311 - a test's seed
