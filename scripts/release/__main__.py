"""Deploys a package, and goes back to the previous one if the app does not answer from it."""

import argparse
import os
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from scripts.deployment.commands import CommandRunner, DeploymentError, run
from scripts.package.__main__ import RELEASE
from scripts.release.watching import Pace, ReleaseError, said, turns, wait_until_listed, wait_until_served

FUNCTIONS: Final = 75
"""A package that loads has at least so many; one with wrong settings has two."""

TOKEN: Final = "GANGLION_ACCESS_TOKEN"  # noqa: S105 - the name of a variable, no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What is deployed where: `functions` is how many the package has, `token` is empty where no turn is tried."""

    group: str
    app: str
    package: Path
    previous: Path | None
    functions: int
    token: str


def release(run: CommandRunner, http: httpx.Client, given: Release, pace: Pace, write: Callable[[str], object]) -> None:
    """Deploy and watch; on failure put the previous package back. Raises ReleaseError and DeploymentError."""
    try:
        deploy(run, given, given.package)
        wait_until_listed(lambda: functions_of(run, given), given.functions, pace)
        wait_until_served(http, release_in(given.package), pace)
        if given.token:
            said(turns(http, given.token), write)
    except (ReleaseError, DeploymentError) as problem:
        if given.previous is None:
            raise
        raise ReleaseError(f"{problem}. {put_back(run, http, given, given.previous, pace)}") from problem


def put_back(run: CommandRunner, http: httpx.Client, given: Release, previous: Path, pace: Pace) -> str:
    """Deploy the previous package, and say whether the app answers from it again."""
    try:
        deploy(run, given, previous)
        wait_until_served(http, release_in(previous), pace)
    except (ReleaseError, DeploymentError) as problem:
        return f"The previous package could not be put back: {problem}"
    return f"The previous package is back: release {release_in(previous)}"


def deploy(run: CommandRunner, given: Release, package: Path) -> None:
    where = ("--resource-group", given.group, "--name", given.app)
    run("az", "functionapp", "deployment", "source", "config-zip", *where, "--src", str(package))


def functions_of(run: CommandRunner, given: Release) -> int:
    where = ("--resource-group", given.group, "--name", given.app)
    listed = run("az", "functionapp", "function", "list", *where, "--query", "length(@)", "--output", "tsv").strip()
    return int(listed) if listed.isdecimal() else 0


def release_in(package: Path) -> str:
    """Return the release that is written in a package; raises ReleaseError."""
    try:
        with zipfile.ZipFile(package) as archive:
            return archive.read(RELEASE).decode().strip()
    except (OSError, KeyError, zipfile.BadZipFile) as problem:
        raise ReleaseError(f"{package} is no package of `make package`: {problem}") from None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.release", description=__doc__)
    parser.add_argument("--group", required=True, help="the resource group")
    parser.add_argument("--app", required=True, help="the name of the function app")
    parser.add_argument("--url", required=True, help="the origin of the app, https://…")
    parser.add_argument("--package", type=Path, default=Path(".run/package/ganglion.zip"))
    parser.add_argument("--previous", type=Path, help="the package to go back to")
    parser.add_argument("--functions", type=int, default=FUNCTIONS, help="how many functions the platform has to list")
    options = parser.parse_args()
    given = Release(
        group=options.group,
        app=options.app,
        package=options.package,
        previous=options.previous,
        functions=options.functions,
        token=os.environ.get(TOKEN, ""),
    )
    try:
        with httpx.Client(base_url=options.url, timeout=60.0) as http:
            release(run, http, given, Pace(), sys.stdout.write)
    except (ReleaseError, DeploymentError) as problem:
        sys.exit(f"release: {problem}")


if __name__ == "__main__":
    main()
