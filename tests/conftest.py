"""What holds for every test? No property has a deadline: times are measured in benches/, never by tests."""

import functools
import gc
import os
import re
import ssl
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

settings.register_profile("repeatable", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("few", parent=settings.get_profile("repeatable"), max_examples=10)
settings.register_profile("exploring", parent=settings.get_profile("repeatable"), derandomize=False)
settings.load_profile(os.environ.get("TEST_EXAMPLES", "repeatable"))

FOLDER = Path(__file__).parent
WITH_PROCESSES = frozenset({"conformance", "devhost", "devhost_campaigns", "end_to_end", "standins"})

PROCESSES = "processes"
MODULE_MARKS = re.compile(r"^pytestmark = (\[[^\]]*\]|.*)$", re.MULTILINE)
MARK = re.compile(r"pytest\.mark\.(\w+)")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file all of whose tests `-m "not A and not B"` leaves out: its `pytestmark` names A or B."""
    expression = str(config.getoption("markexpr"))
    parts = [] if " or " in expression else expression.split(" and ")
    left_out = {part.removeprefix("not ") for part in parts if part.startswith("not ")}
    if not left_out or collection_path.suffix != ".py":
        return None
    marks = MODULE_MARKS.search(collection_path.read_text(encoding="utf-8"))
    return True if marks and left_out & set(MARK.findall(marks[0])) else None


@functools.cache
def starts_processes(file: Path) -> bool:
    return file.relative_to(FOLDER).parts[0] in WITH_PROCESSES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that starts processes shares the clock with them: it is slow, and it gets one more try."""
    for item in items:
        if starts_processes(item.path):
            item.add_marker(pytest.mark.flaky(reruns=1))
        if starts_processes(item.path) or needs_cosmos(item):
            item.add_marker(pytest.mark.slow)


class ProcessesLast(LoadScopeScheduling):
    """Gives whole files to the workers of `-n 2`, then all tests that start processes to one of them.

    Such tests need both cores: they run one after the other, when the other worker has no file left.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return PROCESSES if starts_processes(FOLDER.parent / file) else file

    def _assign_work_unit(self, node: WorkerController) -> None:
        if PROCESSES in self.workqueue:
            self.workqueue.move_to_end(PROCESSES)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ProcessesLast:
    return ProcessesLast(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the modules and tests, which live until the end, every garbage collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let a worker of xdist send what is read: each message costs both processes, and a test that passes has six."""
    options = session.config.option
    if options.durations is not None or options.xmlpath is not None:
        return
    for plugin in session.config.pluginmanager.get_plugins():
        send = getattr(plugin, "sendevent", None)
        if send:
            plugin.sendevent = functools.partial(send_what_is_read, send)


def send_what_is_read(send: Callable[..., None], name: str, **message: Any) -> None:
    """Leave out that a test begins, and what says only that nothing failed before or after its call."""
    if name != "logstart" and not (name == "testreport" and says_nothing(**message["data"])):
        send(name, **message)


def says_nothing(*, when: str, outcome: str, sections: list[tuple[str, str]], **_: object) -> bool:
    return when != "call" and outcome == "passed" and not sections


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
