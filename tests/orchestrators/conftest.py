"""How do these tests set up the SDK?"""

import pytest


@pytest.fixture(autouse=True)
def strict_typing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what local.settings.sample.json sets; the SDK warns where it is missing."""
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ignore a warning of the SDK: an event that arrives before it is waited for looks like a duplicate to it."""
    for item in items:
        if "orchestrators" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("ignore:Potential duplicate Task completion"))
