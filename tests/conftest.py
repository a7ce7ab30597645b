"""What holds for every test? No property has a deadline: times are measured in benches/, never by tests."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("repeatable", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("exploring", parent=settings.get_profile("repeatable"), derandomize=False)
settings.load_profile(os.environ.get("TEST_EXAMPLES", "repeatable"))

FOLDER = Path(__file__).parent
WITH_PROCESSES = frozenset({"conformance", "devhost", "devhost_campaigns", "end_to_end", "standins"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that starts processes shares the clock with them: it gets one more try, which the summary names."""
    for item in items:
        if item.path.relative_to(FOLDER).parts[0] in WITH_PROCESSES:
            item.add_marker(pytest.mark.flaky(reruns=1))
