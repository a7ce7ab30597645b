"""Are the operator's files right, and are their prices recent?"""

from calendar import monthrange
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from clients.tokenizers.tokenizer_file import TokenizerFile
from domain.fleet.catalog import Backend
from domain.network_names import LOOPBACK
from ganglion.doctor.areas.settings_checks import problems_of
from ganglion.doctor.findings import Fault, error, warning
from ganglion.doctor.subject import Subject
from ganglion.toml_lines import line_of

OLD_DAYS: Final = 90
LOADING_S: Final = 30.0
EDIT: Final = "${EDITOR:-vi} fleet.toml"
BUNDLE: Final = "Microsoft.Azure.Functions.ExtensionBundle"
MANAGED: Final = "azuremanaged"
LONGEST_POLLING_S: Final = 10


def file_problems(setting: str, name: str, read: Callable[[Subject], object]) -> Callable[[Subject], Iterator[Fault]]:
    """Return the check of one file; a problem begins with the file, its line and the field."""

    def check(subject: Subject) -> Iterator[Fault]:
        path = subject.variables.get(f"GANGLION_{setting}") or name
        for problem in problems_of(lambda: read(subject)):
            text = problem if problem.startswith("GANGLION_") else f"{path}{line_suffix(path, problem)}: {problem}"
            yield error(text, f"${{EDITOR:-vi}} {path}")

    return check


def line_suffix(path: str, problem: str) -> str:
    """Return `:` and the number of the line that a problem of a TOML file is in, or nothing."""
    file = Path(path)
    line = line_of(file.read_text(encoding="utf-8"), problem) if file.suffix == ".toml" and file.is_file() else None
    return f":{line}" if line else ""


prices = file_problems("PRICES", "prices.toml", lambda subject: subject.read_prices())
systems = file_problems("SYSTEMS", "systems.toml", lambda subject: subject.read_systems())
fleet = file_problems("FLEET", "fleet.toml", lambda subject: subject.read_fleet())
sources = file_problems("SOURCES", "sources.toml", lambda subject: subject.read_sources())
webhooks = file_problems("WEBHOOKS", "webhooks.toml", lambda subject: subject.read_webhooks())
tools = file_problems("TOOLS", "tools.toml", lambda subject: subject.read_tools())
pipelines = file_problems("PIPELINES", "pipelines.toml", lambda subject: subject.read_pipelines())
budgets = file_problems("BUDGETS", "budgets.toml", lambda subject: subject.read_budgets())
host = file_problems("HOST", "host.json", lambda subject: subject.read_host_file())


def price_age(subject: Subject) -> Iterator[Fault]:
    """A backend on this machine sends no bill, so its price may be old."""
    today = datetime.fromtimestamp(subject.target.now, tz=UTC).date()
    used = {each.price.name: each.price.origin for each in subject.backends if not is_local(each)}
    for name, origin in sorted(used.items()):
        age = (today - last_day(origin.date)).days
        if age > OLD_DAYS:
            text = (
                f"prices.{name}.date: the price is from {origin.date}, {age} days ago; compare it with {origin.source}"
            )
            yield warning(text, f"${{EDITOR:-vi}} {subject.settings.prices}")


def is_local(backend: Backend) -> bool:
    return urlsplit(backend.url).hostname in LOOPBACK


def last_day(month: str) -> date:
    """Return the last day of a month, YYYY-MM."""
    year, number = (int(part) for part in month.split("-")[:2])
    return date(year, number, monthrange(year, number)[1])


def enabled_backends(subject: Subject) -> Iterator[Fault]:
    if not subject.backends:
        variables = sorted({each.variable for each in subject.fleet.unconfigured})
        first = variables[0] if variables else "GANGLION_FLEET"
        text = f"{subject.settings.fleet}: no backend is enabled; set the address of one: {', '.join(variables)}"
        yield error(text, subject.set_command(first, "https://…/v1"))


def route_prefix(subject: Subject) -> Iterator[Fault]:
    if subject.host_setting("extensions", "http", "routePrefix") != "":
        text = 'host.json: extensions.http.routePrefix is not "": SDKs would not find /v1'
        yield error(text, "git checkout host.json")


def bundle(subject: Subject) -> Iterator[Fault]:
    if subject.host_setting("extensionBundle", "id") != BUNDLE:
        text = f"host.json: extensionBundle.id is not {BUNDLE}: the host finds no durable functions"
        yield error(text, "git checkout host.json")


def version_strategy(subject: Subject) -> Iterator[Fault]:
    if subject.host_setting("extensions", "durableTask", "versionMatchStrategy") != "CurrentOrOlder":
        text = (
            "host.json: extensions.durableTask.versionMatchStrategy is not CurrentOrOlder: after an update, waiting "
            "turns of the previous version would not continue"
        )
        yield error(text, "git checkout host.json")


def polling(subject: Subject) -> Iterator[Fault]:
    provider = str(subject.host_setting("extensions", "durableTask", "storageProvider", "type") or "azureStorage")
    span = subject.host_setting("extensions", "durableTask", "storageProvider", "maxQueuePollingInterval")
    if provider.casefold() == MANAGED or not span:
        return
    hours, minutes, seconds = (float(part) for part in str(span).split(":"))
    if hours * 3600 + minutes * 60 + seconds > LONGEST_POLLING_S:
        text = f"host.json: storageProvider.maxQueuePollingInterval is {span}: each step may wait that long"
        yield warning(text, "git checkout host.json")


async def tokenizers(subject: Subject) -> AsyncIterator[Fault]:
    """Load each one, as the app does at its first request. Without it, tokens are estimated."""
    folder = Path(subject.settings.fleet).parent
    for model in subject.fleet.served_models():
        if model.tokenizer is None:
            continue
        path = folder / model.tokenizer
        where = f"models.{model.name}.tokenizer"
        if not path.is_file():
            yield error(f"{where}: expected an existing file, found {model.tokenizer!r}", EDIT)
        elif problem := await TokenizerFile(path).problem(LOADING_S):
            yield warning(f"{where}: {path} cannot be loaded: {problem}", EDIT)
