"""What holds for every test? No property has a deadline: times are measured in benches/, never by tests."""

import gc
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("repeatable", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("few", parent=settings.get_profile("repeatable"), max_examples=20)
settings.register_profile("exploring", parent=settings.get_profile("repeatable"), derandomize=False)
settings.load_profile(os.environ.get("TEST_EXAMPLES", "repeatable"))

FOLDER = Path(__file__).parent
WITH_PROCESSES = frozenset({"conformance", "devhost", "devhost_campaigns", "end_to_end", "standins"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that starts processes shares the clock with them: it is slow, and it gets one more try."""
    for item in items:
        starts_processes = item.path.relative_to(FOLDER).parts[0] in WITH_PROCESSES
        if starts_processes:
            item.add_marker(pytest.mark.flaky(reruns=1))
        if starts_processes or needs_cosmos(item):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Spare the modules and tests, which live until the end, every later garbage collection."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def no_public_authorities() -> Iterator[None]:
    """Let HTTP clients trust no public authority, which none of them meets: loading all takes 20 ms a client."""
    with pytest.MonkeyPatch.context() as patch:
        for package in ("httpx", "httpx2"):
            patch.setattr(f"{package}._transports.default.create_ssl_context", ssl_context)
        yield


def ssl_context(verify: ssl.SSLContext | bool, **_: object) -> ssl.SSLContext:  # noqa: FBT001 - as httpx calls it
    return verify if isinstance(verify, ssl.SSLContext) else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def needs_cosmos(item: pytest.Item) -> bool:
    """Return whether the test is the one for Cosmos DB among those for each adapter."""
    return isinstance(item, pytest.Function) and hasattr(item, "callspec") and "cosmos" in item.callspec.params.values()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print each test that ran again, with the reason; `--fail-on-flaky` makes the run fail for it."""
    reports: list[pytest.TestReport] = terminalreporter.stats.get("rerun", [])
    if not reports:
        return
    verdict = "each counts as a failure" if config.getoption("fail_on_flaky") else "reported only"
    terminalreporter.section(f"tests that ran again: {verdict}")
    for report in reports:
        terminalreporter.write_line(f"{report.nodeid} ({report.when}): {reason_of(report)}")


def reason_of(report: pytest.TestReport) -> str:
    """Return the first line of the error, as the last traceback ends with it."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longreprtext).strip().partition("\n")[0]
