"""How do these tests set up the SDK?"""

import sys
from collections.abc import Iterator
from functools import cache

import pytest
from azure.durable_functions.models.history.HistoryEvent import HistoryEvent
from azure.durable_functions.models.TaskOrchestrationExecutor import TaskOrchestrationExecutor

AGAIN_AND_AGAIN = ((HistoryEvent, "dt_parse"), (TaskOrchestrationExecutor, "namedtuple"))
"""What the SDK does at every replay for the same arguments: it parses the time of each event, and defines a type."""


@pytest.fixture(autouse=True)
def strict_typing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what local.settings.sample.json sets; the SDK warns where it is missing."""
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "1")


@pytest.fixture(scope="session", autouse=True)
def replays_repeat_nothing() -> Iterator[None]:
    """Let the SDK do once what no replay changes: it took more than half of the time of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in AGAIN_AND_AGAIN:
            module = sys.modules[owner.__module__]
            patch.setattr(module, name, cache(getattr(module, name)))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ignore a warning of the SDK: an event that arrives before it is waited for looks like a duplicate to it."""
    for item in items:
        if "orchestrators" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("ignore:Potential duplicate Task completion"))
