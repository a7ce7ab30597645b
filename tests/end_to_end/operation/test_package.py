"""Does the package that is published run by itself, with the packages that it requires and no others?"""

import importlib.metadata
import os
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from copy import replace
from pathlib import Path
from random import Random

import pytest

from domain import wire
from domain.batches import batch_wire
from scripts.package.ignore_rules import is_ignored, packaged, rules_from_text
from standins.cluster.local_cluster import LocalCluster
from standins.paths import ROOT
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import asking, calling, counted
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.operation.packages import normalised, publish, required

NEEDED = {
    "function_app.py",
    "host.json",
    "requirements.txt",
    "settings.py",
    "fleet.toml",
    "prices.toml",
    "sources.toml",
    "systems.toml",
    "pipelines.toml",
    "tools.toml",
    "webhooks.toml",
}
CODE = {"activities", "api", "clients", "composition", "console", "domain", "orchestrators", "state", "telemetry"}
WORKER = ("azure-functions-runtime",)
"""What a worker brings along for every app."""

FUNCTIONS = {
    wire.BEGIN,
    wire.RECALL,
    wire.ROUTE,
    wire.INFER,
    wire.FINISH,
    wire.SETTLE,
    wire.RESPOND,
    wire.DELIVERY_ORCHESTRATION,
    wire.DELIVER_WEBHOOK,
    batch_wire.RUN_BATCH,
    batch_wire.RUN_LINES,
    batch_wire.RUN_LINE,
    "sweeper",
    "zz_unknown",
    "http_healthz",
    "http_readyz",
    "http_models_list",
    "http_models_retrieve",
    "http_responses_create",
    "http_responses_cancel",
    "http_responses_retrieve",
    "http_responses_route",
}


def test_the_package_holds_the_app_and_nothing_else() -> None:
    files = list(packaged(ROOT))
    top = {path.name for path in files if len(path.parts) == 1} - {".funcignore"}
    assert top == NEEDED
    assert {path.parts[0] for path in files if len(path.parts) > 1} == CODE
    assert {path.suffix for path in files if len(path.parts) > 1 and path.parts[0] != "console"} == {".py"}
    assert {path.as_posix() for path in files if path.parts[0] == "console"} >= {
        "console/index.html",
        "console/main.js",
    }


@pytest.mark.parametrize(
    ("text", "ignored", "kept"),
    [
        ("tests", ("tests", "a/tests"), ("tests.py", "mytests")),
        ("/tests", ("tests",), ("a/tests",)),
        ("*.py\n!keep.py", ("a.py", "b/a.py"), ("keep.py", "a.pyc")),
        ("a/**/b", ("a/b", "a/x/b", "a/x/y/b"), ("b", "x/a/b")),
        ("a/*", ("a/b",), ("a/b/c", "a")),
        ("req*[!0-9].in", ("req-dev.in",), ("req1.in",)),
        ("# tests\n\n\\#x", ("#x",), ("tests", "# tests")),
        (".git*", (".git", ".gitignore", "a/.github"), ("git",)),
    ],
)
def test_a_line_of_the_ignore_file_means_what_it_means_to_git(
    text: str, ignored: Sequence[str], kept: Sequence[str]
) -> None:
    rules = rules_from_text(text)
    assert [path for path in ignored if not is_ignored(rules, path, folder=False)] == []
    assert [path for path in kept if is_ignored(rules, path, folder=False)] == []


PATHS = (
    "a/a",
    "a/b/a.py",
    "a/docs/x",
    "a.py",
    "b",
    "docs/a/b",
    "docs/a.py",
    "docs/keep/a.py",
    "x/a/b",
    "x/a.py",
    "x/y/b",
)
LINES = (
    "a",
    "/a",
    "a/",
    "*.py",
    "!a.py",
    "a/b",
    "a/*",
    "**/b",
    "a/**",
    "!a/b",
    "docs/",
    "?",
    "[ab]",
    "/a/*",
    "!/a/docs",
)


def test_the_files_that_are_left_are_those_that_git_would_leave(tmp_path: Path, random: Random) -> None:
    for path in map(tmp_path.joinpath, PATHS):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    git(tmp_path, "init", "-q")
    for _ in range(25):
        lines = [*random.sample(LINES, 4), "/.git"]
        (tmp_path / ".funcignore").write_text("\n".join(lines))
        left = git(tmp_path, "ls-files", "--others", "--exclude-from=.funcignore")
        assert sorted(path.as_posix() for path in packaged(tmp_path)) == sorted(left.splitlines()), lines


def git(folder: Path, *command: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(  # noqa: S603 - the command is ours
        ("git", *command),  # noqa: S607 - whichever git this machine has
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def importable() -> frozenset[str]:
    """Return the distributions that a deployed worker finds: the required, and the worker's own."""
    return required(ROOT) | {normalised(name) for name in WORKER}


def forbidden_modules() -> set[str]:
    """Return the modules on this machine that no required distribution has."""
    allowed = importable()
    modules = importlib.metadata.packages_distributions()
    return {module for module, names in modules.items() if not any(normalised(name) in allowed for name in names)}


GUARD = """
import os, sys

class Forbidden:
    modules = frozenset(os.environ["FORBIDDEN_MODULES"].split(","))

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.modules:
            raise ModuleNotFoundError(f"{name} is not among the required packages", name=name)

if "devhost.worker" in sys.orig_argv:
    sys.meta_path.insert(0, Forbidden())
"""


@pytest.fixture(scope="module")
def published_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """The package in a folder of its own; its worker finds no module but those that it requires."""
    app, guard = tmp_path_factory.mktemp("package"), tmp_path_factory.mktemp("guard")
    publish(ROOT, app)
    (guard / "sitecustomize.py").write_text(GUARD)
    environment = {"PYTHONPATH": str(guard), "FORBIDDEN_MODULES": ",".join(sorted(forbidden_modules()))}
    options = hasty(tmp_path_factory.mktemp("published"))
    with LocalCluster(replace(options, app=app, environment={**options.environment, **environment})) as cluster:
        yield cluster


@pytest.fixture
async def published(published_cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(published_cluster) as caller, books_of(published_cluster.data) as books:
        yield Scene(cluster=published_cluster, caller=caller, books=books)


def listed_functions(cluster: LocalCluster) -> set[str]:
    """Return the functions that the host listed when the worker library had loaded the app."""
    listing = cluster.log("devhost").partition("Functions:")[2].partition("ready:")[0]
    return {line.strip().partition(":")[0] for line in listing.splitlines() if line.startswith("        ")}


async def test_every_function_loads_through_the_worker_library(published: Scene) -> None:
    assert listed_functions(published.cluster) >= FUNCTIONS
    assert "not supported" not in published.cluster.log("devhost")


async def test_the_package_answers_by_itself(published: Scene) -> None:
    assert "pytest" in forbidden_modules()
    assert "openai" in forbidden_modules()
    body = asking("COUNT 20")
    reading = await published.caller.follow(body)
    await published.books.assert_exact(reading, counted(20))
    await published.books.settled(published.caller, reading.id)
    for path in ("/healthz", "/readyz", "/v1/models"):
        assert (await published.caller.http.get(path)).status_code == 200
    for path in ("/healthz", "/readyz"):
        probed = await published.caller.http.head(path)
        assert (probed.status_code, probed.content) == (200, b"")


async def test_the_package_survives_its_worker_too(published: Scene) -> None:
    old = published.cluster.kill_worker()
    reading = await published.caller.follow(asking("COUNT 20"))
    assert published.cluster.worker_pid != old
    await published.books.assert_exact(reading, counted(20))
